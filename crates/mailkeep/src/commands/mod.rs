//! One module a command; each turns arguments into calls and results into text.

mod alerts;
mod backup;
mod blast;
mod browse;
mod canary;
mod certificates;
mod children;
mod demo;
mod doctor;
mod drill;
mod export;
mod fleet;
mod identity;
mod incidents;
mod inspect;
mod keep;
mod lab;
mod ledger;
mod mailboxes;
mod place;
mod policy;
mod posture;
mod recover;
mod remedy;
mod restore;
mod restored;
mod secret_file;
mod serve;
mod setup;
mod signer;
mod simulated;
mod tenant;
mod testimony;
mod workers;

use std::{path::Path, process::ExitCode};

use mailkeep_identity::CallerLabel;
use mailkeep_service::{DataDirectory, Protection, Service};
use serde_json::json;
use tracing_subscriber::EnvFilter;

pub(crate) use place::{ItemName, Place, parse_deadline, parse_span, parse_time};

use crate::{
    cli::{Cli, Command, Global},
    config::Config,
    exit::{Exit, Failure},
    output::Output,
    rules,
    transport::OverTls,
};

type Outcome = Result<Exit, Failure>;

/// Runs a command to its end.
pub(crate) fn run(cli: Cli, output: &Output) -> ExitCode {
    start_log(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.complain(&format!("error: cannot start worker threads: {error}"));
            return ExitCode::from(Exit::Failed as u8);
        }
    };
    let exit = runtime.block_on(dispatch(cli, output)).unwrap_or_else(|failure| {
        output.complain(&format!("error: {}", failure.message));
        if output.is_json() {
            let error = json!({"kind": failure.exit.as_str(), "message": failure.message});
            output.result(&json!({ "error": error }), String::new);
        }
        failure.exit
    });
    // What still reads on a blocking thread (standard input) would hold the process up.
    runtime.shutdown_background();
    ExitCode::from(exit as u8)
}

async fn dispatch(cli: Cli, output: &Output) -> Outcome {
    let global = &cli.global;
    match cli.command {
        Command::Demo(arguments) => Box::pin(demo::run(global, arguments, output)).await,
        Command::Lab(arguments) => lab::run(global, arguments, output).await,
        Command::Serve(arguments) => Box::pin(serve::run(global, &arguments, output)).await,
        Command::Signer(arguments) => signer::run(global, *arguments, output).await,
        Command::Doctor => Box::pin(doctor::run(global, output)).await,
        Command::Tenant(command) => Box::pin(tenant::run(global, command, output)).await,
        Command::Identity(command) => Box::pin(identity::run(global, command, output)).await,
        Command::Incidents(arguments) => Box::pin(incidents::run(global, arguments, output)).await,
        Command::Alerts(command) => Box::pin(alerts::run(global, command, output)).await,
        Command::Drill(command) => Box::pin(drill::run(command, output)).await,
        Command::Backup(arguments) => Box::pin(backup::run(global, &arguments, output)).await,
        Command::Snapshots(arguments) => browse::snapshots(global, &arguments, output).await,
        Command::Ls(arguments) => Box::pin(browse::ls(global, &arguments, output)).await,
        Command::Cat(arguments) => Box::pin(browse::cat(global, &arguments, output)).await,
        Command::Export(arguments) => Box::pin(export::run(global, &arguments, output)).await,
        Command::Restore(arguments) => Box::pin(restore::run(global, arguments, output)).await,
        Command::Verify(arguments) => Box::pin(keep::verify(global, &arguments, output)).await,
        Command::RecoveryKit(arguments) => {
            Box::pin(keep::recovery_kit(global, &arguments, output)).await
        }
        Command::Findings(arguments) => Box::pin(remedy::findings(global, arguments, output)).await,
        Command::Remedy(command) => Box::pin(remedy::run(global, command, output)).await,
        Command::Inspect(arguments) => inspect::run(global, &arguments, output),
        Command::Policy(command) => policy::run(global, command, output).await,
    }
}

/// Opens what the data directory holds. Only commands that set something up make one.
async fn open_service(global: &Global) -> Result<Service, Failure> {
    if !global.data.is_dir() {
        return Err(Failure::failed(format!(
            "there is no data directory {}: name it with --data, or begin with 'mailkeep signer' and 'mailkeep tenant add'",
            global.data.display()
        )));
    }
    make_service(global).await
}

async fn make_service(global: &Global) -> Result<Service, Failure> {
    let caller: CallerLabel = "cli".parse().expect("a valid label");
    let config = config(global)?;
    let remote = config.signer.port()?;
    let witnesses = config.witnesses()?;
    let protection = protection(global, &config)?;
    let config = config.backup;
    let service = Service::open(DataDirectory::new(&global.data), caller).await?;
    let service =
        service.with_limits(config.limits()).with_extras(config.extras()).with_witnesses(witnesses);
    let service = service.with_protection(protection);
    Ok(match remote {
        Some(port) => service.with_signer(OverTls::shared(port)),
        None => service,
    })
}

/// What inspection is given from files, as the settings name them; paths lie beside the settings.
fn protection(global: &Global, config: &Config) -> Result<Protection, Failure> {
    let settings = global.config.clone();
    let settings = settings.unwrap_or_else(|| DataDirectory::new(&global.data).config());
    let base = settings.parent().unwrap_or_else(|| Path::new("."));
    Ok(Protection::new(config.protect.options(base)?, rules::engine()))
}

fn config(global: &Global) -> Result<Config, Failure> {
    let data = DataDirectory::new(&global.data);
    Config::read(global.config.as_deref(), &data.config())
}

/// Logs go to standard error, so that standard output holds results alone. Warnings by default;
/// `RUST_LOG` overrides.
fn start_log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => {
            "warn,mailkeep=info,mailkeep_service=info,mailkeep_signer=info,mailkeep_lab=info"
        }
        (false, 2) => "info,mailkeep=debug,mailkeep_service=debug,mailkeep_exchange=debug",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if global.json { log.json().init() } else { log.init() }
}
