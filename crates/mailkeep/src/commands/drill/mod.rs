//! Drills: what attackers have done, done again on a simulated tenant.

mod report;
mod site;
mod stolen_certificate;

use clap::ValueEnum;
use serde_json::json;

use super::Outcome;
use crate::{
    cli::{Drill, DrillName, Global},
    exit::Exit,
    output::{Output, table},
};

pub(super) async fn run(global: &Global, command: Drill, output: &Output) -> Outcome {
    match command {
        Drill::List => {
            list(output);
            Ok(Exit::Done)
        }
        Drill::Run { drill } => {
            let report = match drill {
                DrillName::StolenCertificate => stolen_certificate::run(global, output).await?,
            };
            output.result(&report, || report.text());
            Ok(if report.holds() { Exit::Done } else { Exit::Failed })
        }
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
