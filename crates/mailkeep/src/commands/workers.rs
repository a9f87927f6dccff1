//! Workers of other machines, as whoever runs the signer manages them.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use mailkeep_identity::{CallerLabel, SignerClient, WorkerInfo, WorkerLimits};
use mailkeep_service::{DataDirectory, ServiceError};
use mailkeep_tls::{TlsError, WorkerRequest};
use serde_json::json;
use time::OffsetDateTime;

use super::{Outcome, browse::rfc3339, recover};
use crate::{
    cli::{Enroll, Global, SignerCommand, Workers},
    exit::{Exit, Failure},
    output::{Output, table},
};

/// A request of more bytes is none.
const LONGEST_REQUEST: u64 = 16 * 1024;

pub(super) async fn run(global: &Global, command: SignerCommand, output: &Output) -> Outcome {
    match command {
        SignerCommand::Request { name, out } => request(&name, &out, output),
        SignerCommand::Enroll(arguments) => enroll(global, &arguments, output).await,
        SignerCommand::Recover(arguments) => {
            Box::pin(recover::signer(global, &arguments, output)).await
        }
        SignerCommand::Workers(Workers::List { socket }) => {
            let all = client(global, socket).workers().await.map_err(ServiceError::from)?;
            list(&all, output);
            Ok(Exit::Done)
        }
        SignerCommand::Workers(Workers::Revoke { name, socket }) => {
            let revoked = client(global, socket).revoke_worker(&name).await;
            let certificates = revoked.map_err(ServiceError::from)?;
            if certificates == 0 {
                let text = format!("there is no worker '{name}'; 'mailkeep signer workers list'");
                return Err(Failure { exit: Exit::NotFound, message: text });
            }
            output.result(&json!({"worker": name, "revoked": certificates}), || {
                format!("worker {name} is cut off; its connections are closed")
            });
            Ok(Exit::Done)
        }
    }
}

/// A client that asks nothing by itself: who manages workers need not be one of those who may ask.
pub(super) fn client(global: &Global, socket: Option<PathBuf>) -> SignerClient {
    let socket = socket.unwrap_or_else(|| DataDirectory::new(&global.data).signer_socket());
    SignerClient::over(SignerClient::at_socket(socket), "cli".parse().expect("a valid label"))
}

fn request(name: &CallerLabel, out: &Path, output: &Output) -> Outcome {
    let made = WorkerRequest::make(name.as_str()).map_err(failed)?;
    let key = made.keep_key(out).map_err(failed)?;
    let request = out.join("request.pem");
    write(&request, made.request_pem())?;
    output.result(&json!({"key": key, "request": request}), || {
        format!(
            "the key stays in {}. On the signer's machine: 'mailkeep signer enroll {name} --request FILE --out DIR' with {}",
            key.display(),
            request.display()
        )
    });
    Ok(Exit::Done)
}

async fn enroll(global: &Global, arguments: &Enroll, output: &Output) -> Outcome {
    let Enroll { name, out, request, tenant, function, socket } = arguments;
    let limits = WorkerLimits {
        tenants: Some(tenant.clone()).filter(|tenants| !tenants.is_empty()),
        functions: Some(function.clone()).filter(|functions| !functions.is_empty()),
    };
    let (request_pem, made) = match request {
        Some(path) => (read(path)?, None),
        None => {
            let made = WorkerRequest::make(name.as_str()).map_err(failed)?;
            (made.request_pem().to_owned(), Some(made))
        }
    };
    let client = client(global, socket.clone());
    let enrolled = client.enroll_worker(name, &limits, &request_pem).await;
    let enrolled = enrolled.map_err(ServiceError::from)?;
    match made {
        Some(made) => drop(made.keep_key(out).map_err(failed)?),
        None => fs::create_dir_all(out).map_err(|error| unwritable(out, &error))?,
    }
    write(&out.join("worker.pem"), &enrolled.certificate_pem)?;
    write(&out.join("authority.pem"), &enrolled.authority_pem)?;
    output.result(&json!({"out": out, "worker": enrolled.info}), || {
        format!(
            "worker {name} may ask until {}. Take {} to its machine and name the files there in [signer] of its settings: url = \"tls://HOST:PORT\", certificate = \"worker.pem\", key = \"worker.key\", authority = \"authority.pem\"",
            rfc3339(enrolled.info.not_after),
            out.display()
        )
    });
    Ok(Exit::Done)
}

fn list(all: &[WorkerInfo], output: &Output) {
    if output.is_json() {
        for one in all {
            output.result(&json!(one), String::new);
        }
        return;
    }
    if all.is_empty() {
        output.note("no workers of other machines");
        return;
    }
    let now = OffsetDateTime::now_utc();
    let named = |names: Vec<String>| names.join(",");
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|one| {
            let state = match one.revoked {
                Some(_) => "revoked",
                None if one.not_after <= now => "expired",
                None => "valid",
            };
            let tenants = one.limits.tenants.as_ref();
            let tenants = tenants.map(|all| named(all.iter().map(ToString::to_string).collect()));
            let functions = one.limits.functions.as_ref();
            let functions =
                functions.map(|all| named(all.iter().map(ToString::to_string).collect()));
            vec![
                one.name.to_string(),
                state.to_owned(),
                rfc3339(one.not_after),
                tenants.unwrap_or_else(|| "all tenants".into()),
                functions.unwrap_or_else(|| "all functions".into()),
                one.fingerprint.clone(),
            ]
        })
        .collect();
    output.result(&json!({}), || table(&rows));
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let opened = fs::File::open(path);
    let read = opened.and_then(|file| file.take(LONGEST_REQUEST).read_to_string(&mut text));
    let unreadable = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    read.map_err(unreadable)?;
    Ok(text)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write {}: {error}", path.display()))
}

#[allow(clippy::needless_pass_by_value, reason = "it maps an error")]
fn failed(error: TlsError) -> Failure {
    Failure::failed(error.to_string())
}
