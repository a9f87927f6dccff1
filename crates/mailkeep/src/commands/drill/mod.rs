//! Drills: what attackers have done, done again on a simulated tenant.

mod acts;
mod lost_signer;
mod protection_off;
mod replayed_assertion;
mod report;
mod site;
mod stolen_certificate;
mod stolen_token;

use clap::ValueEnum;
use serde_json::json;

use self::{report::Report, site::Site};
use super::Outcome;
use crate::{
    cli::{Drill, DrillName},
    exit::{Exit, Failure},
    output::{Output, table},
};

pub(super) async fn run(command: Drill, output: &Output) -> Outcome {
    match command {
        Drill::List => {
            list(output);
            Ok(Exit::Done)
        }
        Drill::Run { drill } => {
            let report = Box::pin(run_one(drill, output)).await?;
            output.result(&report, || report.text());
            Ok(if report.holds() { Exit::Done } else { Exit::Failed })
        }
    }
}

/// Plays a drill in a place of its own.
async fn run_one(drill: DrillName, output: &Output) -> Result<Report, Failure> {
    let directory = tempfile::tempdir()
        .map_err(|error| Failure::failed(format!("a directory for the drill: {error}")))?;
    let mut site = Site::start(directory.path(), output).await?;
    let name = drill.to_possible_value().map(|value| value.get_name().to_owned());
    let mut report = Report::new(name.unwrap_or_default());
    let played = play(drill, &mut site, &mut report, output).await;
    site.stop().await;
    played.map(|()| report)
}

/// An ordinary day, and then what the drill is about.
async fn play(
    drill: DrillName,
    site: &mut Site,
    report: &mut Report,
    output: &Output,
) -> Result<(), Failure> {
    if drill == DrillName::ProtectionOff {
        protection_off::prepare(site, output).await?;
    }
    site.ordinary_day(report, output).await?;
    match drill {
        DrillName::StolenCertificate => stolen_certificate::play(site, report, output).await,
        DrillName::StolenToken => stolen_token::play(site, report, output).await,
        DrillName::ReplayedAssertion => replayed_assertion::play(site, report, output).await,
        DrillName::ProtectionOff => protection_off::play(site, report, output).await,
        DrillName::LostSigner => lost_signer::play(site, report, output).await,
    }
}

fn list(output: &Output) {
    let described = |drill: &DrillName| {
        let value = drill.to_possible_value()?;
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        Some((value.get_name().to_owned(), help))
    };
    let all: Vec<(String, String)> =
        DrillName::value_variants().iter().filter_map(described).collect();
    if output.is_json() {
        for (name, what) in &all {
            output.result(&json!({"drill": name, "what": what}), String::new);
        }
        return;
    }
    let rows: Vec<Vec<String>> = all.into_iter().map(|(name, what)| vec![name, what]).collect();
    output.result(&json!({}), || table(&rows));
}
