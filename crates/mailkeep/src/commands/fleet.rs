//! What is done for many tenants by one command: `identity rotate|revoke --all`, `tenant import`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    sync::Arc,
};

use indicatif::{ProgressBar, ProgressStyle};
use mailkeep_identity::rotation::Stage;
use mailkeep_model::{Function, ListedTenant, TenantName, parse_listed_tenant};
use mailkeep_service::{FleetChange, FleetOrder, FleetWhose, Revocation, Service};
use serde_json::{Map, json};
use time::OffsetDateTime;

use super::{
    Outcome,
    identity::{revocation_text, rotation_text},
};
use crate::{
    cli::{Revoke, Rotate, Whose},
    exit::{Exit, Failure},
    output::{Output, plain},
};

pub(super) async fn rotate(service: Arc<Service>, arguments: Rotate, output: &Output) -> Outcome {
    let change = FleetChange::Rotate { at_once: arguments.at_once };
    let order = FleetOrder {
        change,
        whose: whose(&arguments.whose),
        functions: arguments.function.clone(),
    };
    run(service, order, arguments.anew, arguments.deadline, output, |report| {
        for rotation in &report.rotations {
            output.result(rotation, || match rotation.stage {
                // One line each, of thousands.
                Stage::Settled => format!("{} {}: done", rotation.tenant, rotation.function),
                _ => rotation_text(rotation),
            });
        }
        for left in &report.left {
            complain(&report.tenant, left.function, &left.what, output);
        }
    })
    .await
}

pub(super) async fn revoke(service: Arc<Service>, arguments: Revoke, output: &Output) -> Outcome {
    let change = FleetChange::Revoke {
        reason: arguments.reason.clone(),
        distrust: arguments.distrust_prepared,
    };
    let order = FleetOrder { change, whose: whose(&arguments.whose), functions: Vec::new() };
    run(service, order, arguments.anew, arguments.deadline, output, |report| {
        output.result(report, || revocation_text(report));
    })
    .await
}

fn whose(whose: &Whose) -> FleetWhose {
    match &whose.reached_by {
        Some(key) => FleetWhose::ReachedBy { key: key.clone() },
        None => FleetWhose::All,
    }
}

async fn run(
    service: Arc<Service>,
    order: FleetOrder,
    anew: bool,
    deadline: OffsetDateTime,
    output: &Output,
    show: impl Fn(&Revocation),
) -> Outcome {
    let reached = matches!(order.whose, FleetWhose::ReachedBy { .. });
    let ordered = service.order_fleet(order, anew).await?;
    if ordered.tenants() == 0 && reached {
        return Err(Failure::new(
            Exit::NotFound,
            "that key reached no tenant: no key of ours is called so, and no incident names it",
        ));
    }
    if ordered.goes_on {
        output.note(&format!(
            "goes on with what was ordered at {}",
            super::browse::rfc3339(ordered.at)
        ));
    }
    let bar = bar(ordered.tenants(), "keys", output);
    let mut left = 0_usize;
    let done = service
        .change_fleet(&ordered, deadline, |report| {
            left += usize::from(!report.is_complete());
            bar.suspend(|| show(&report));
            bar.inc(1);
        })
        .await?;
    bar.finish_and_clear();
    output.note(&format!("{} tenants, {left} of them not done", ordered.tenants()));
    Ok(if done { Exit::Done } else { Exit::Partly })
}

/// How far many tenants are, for a person who watches.
pub(super) fn bar(length: usize, what: &'static str, output: &Output) -> ProgressBar {
    let bar = match output.shows_progress() {
        true => ProgressBar::new(length as u64),
        false => ProgressBar::hidden(),
    };
    let style = "{msg} [{bar:30}] {pos}/{len} tenants  {elapsed}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).expect("a constant template"));
    bar.set_message(what);
    bar
}

/// What could not be done for one, while the others go on.
pub(super) fn complain(tenant: &TenantName, function: Function, what: &str, output: &Output) {
    output.complain(&format!("error: {tenant} {function}: {}", plain(what)));
    if output.is_json() {
        let error = json!({"tenant": tenant, "function": function, "error": what});
        output.result(&error, String::new);
    }
}

pub(super) async fn import(
    service: Service,
    file: &Path,
    ca: Option<&Path>,
    output: &Output,
) -> Outcome {
    let unreadable = |path: &Path, error: &io::Error| {
        Failure::usage(format!("cannot read {}: {error}", path.display()))
    };
    let list: Box<dyn BufRead> = match file.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(file).map_err(|e| unreadable(file, &e))?)),
    };
    let mut tenants: Vec<ListedTenant> = Vec::new();
    for (number, line) in list.lines().enumerate() {
        let line = line.map_err(|error| unreadable(file, &error))?;
        if line.trim().is_empty() {
            continue;
        }
        let listed = parse_listed_tenant(line.as_bytes()).map_err(|what| {
            Failure::usage(format!("{}, line {}: {what}", file.display(), number + 1))
        })?;
        tenants.push(listed);
    }
    let ca = ca.map(|path| std::fs::read_to_string(path).map_err(|e| unreadable(path, &e)));
    let ca = ca.transpose()?;
    let bar = bar(tenants.len(), "tenants", output);
    let (mut exit, mut done) = (Exit::Done, 0_u64);
    let service = Arc::new(service);
    let imported = service.import_tenants(tenants, ca.as_deref(), |imported| {
        bar.inc(1);
        let tenant = &imported.tenant;
        match imported.outcome {
            Ok(certificates) => {
                done += 1;
                let of = |(function, certificate): &(Function, _)| {
                    let certificate: &mailkeep_identity::CertificateInfo = certificate;
                    let value = json!({
                        "thumbprint_sha1": certificate.thumbprint_sha1,
                        "certificate_pem": certificate.certificate_pem,
                    });
                    (function.to_string(), value)
                };
                let certificates: Map<String, _> = certificates.iter().map(of).collect();
                if output.is_json() {
                    let line = json!({"tenant": tenant, "certificates": certificates});
                    output.result(&line, String::new);
                }
            }
            Err(error) => {
                exit = Exit::Partly;
                output.complain(&format!("error: tenant {tenant}: {error}"));
                if output.is_json() {
                    let line = json!({"tenant": tenant, "error": error.to_string()});
                    output.result(&line, String::new);
                }
            }
        }
    });
    imported.await?;
    bar.finish_and_clear();
    output.note(&format!("{done} tenants are there"));
    Ok(exit)
}
