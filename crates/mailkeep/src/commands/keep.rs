use mailkeep_service::ServiceError;
use mailkeep_vault::{Problem, ReadData, VaultError, VerifyReport};
use serde_json::json;

use super::{Outcome, open_service};
use crate::{
    cli::{Global, RecoveryKit, Verify},
    exit::Exit,
    output::Output,
};

pub(super) async fn verify(global: &Global, arguments: &Verify, output: &Output) -> Outcome {
    let service = open_service(global).await?;
    let read_data = if arguments.read_data { ReadData::Yes } else { ReadData::No };
    let report = report_of(service.verify(&arguments.tenant, read_data).await)?;
    let (untidy, damage): (Vec<&Problem>, Vec<&Problem>) =
        report.problems.iter().partition(|problem| matches!(problem, Problem::Untidy { .. }));
    let texts = |problems: &[&Problem]| -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    };
    let (untidy, damage) = (texts(&untidy), texts(&damage));
    let value = json!({
        "tenant": arguments.tenant,
        "snapshots": report.snapshots,
        "items": report.items,
        "read_data": arguments.read_data,
        "damage": damage,
        "untidy": untidy,
    });
    output.result(&value, || {
        let depth = if arguments.read_data { "every byte" } else { "structure" };
        let mut text = format!(
            "{}: {} snapshots, {} messages checked ({depth})",
            arguments.tenant, report.snapshots, report.items
        );
        for one in &damage {
            text.push_str(&format!("\nDAMAGE: {one}"));
        }
        for one in &untidy {
            text.push_str(&format!("\nuntidy, nothing is lost: {one}"));
        }
        text.push_str(match (report.is_damaged(), arguments.read_data) {
            (true, _) => {
                "\nDo not write to this repository before it is repaired; a copy of it and 'restic check' tell more"
            }
            (false, true) => "\nno damage",
            (false, false) => "\nno damage; --read-data checks every byte, too",
        });
        text
    });
    Ok(if report.is_damaged() { Exit::Damage } else { Exit::Done })
}

/// Damage that does not even let the repository be opened is a finding, too, not a failure to look.
fn report_of(outcome: Result<VerifyReport, ServiceError>) -> Result<VerifyReport, ServiceError> {
    match outcome {
        Err(ServiceError::Vault(error @ VaultError::Damaged { .. })) => {
            let problems = vec![Problem::Repository { what: error.to_string() }];
            Ok(VerifyReport { problems, ..VerifyReport::default() })
        }
        outcome => outcome,
    }
}

pub(super) async fn recovery_kit(
    global: &Global,
    arguments: &RecoveryKit,
    output: &Output,
) -> Outcome {
    let service = open_service(global).await?;
    service.recovery_kit(&arguments.tenant, &arguments.out).await?;
    let out = arguments.out.display().to_string();
    output.result(&json!({"tenant": arguments.tenant, "out": out}), || {
        format!(
            "{out}: repository, password, README.txt. Whoever has it reads all of this tenant's mail: put it into a safe, and not beside the repository"
        )
    });
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_too_damaged_to_open_is_reported_as_damage() {
        let damaged = VaultError::Damaged { dir: "v".into(), what: "no key".into() };
        let report = report_of(Err(damaged.into())).unwrap();
        assert!(report.is_damaged());
        assert!(report.problems[0].to_string().contains("no key"));
        let disk = VaultError::DiskFull { dir: "v".into(), doing: "reading" };
        assert!(report_of(Err(disk.into())).is_err());
    }
}
