//! `mailkeep tenant setup`, and the same as part of `tenant add`.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use mailkeep_model::{Function, TenantName};
use mailkeep_service::{Bundle, Service};
use serde_json::{Map, json};

use super::Outcome;
use crate::{
    cli::{AskedFor, TenantSetup},
    exit::{Exit, Failure},
    output::Output,
};

/// Whether anything of it was said.
pub(super) fn is_asked(asked: &AskedFor) -> bool {
    !asked.function.is_empty()
        || asked.confine_to.is_some()
        || asked.confine_to_nothing
        || !asked.send_from.is_empty()
        || asked.exchange_configuration
        || asked.out.is_some()
}

pub(super) async fn run(service: &Service, arguments: TenantSetup, output: &Output) -> Outcome {
    let TenantSetup { tenant, asked: told } = arguments;
    let mut asked = service.asked(&tenant).await?;
    asked.functions.extend(told.function.iter().copied());
    if told.confine_to_nothing {
        asked.confined_to = None;
    }
    if told.confine_to.is_some() {
        asked.confined_to.clone_from(&told.confine_to);
    }
    if !told.send_from.is_empty() {
        asked.send_from = told.send_from.into_iter().collect();
    }
    if told.exchange_configuration {
        asked.exchange_configuration = true;
        asked.functions.insert(Function::Auditor);
    }
    service.ask_for(&tenant, &asked).await?;
    let bundle = service.setup(&tenant, &told.function).await?;
    match told.out {
        Some(directory) => {
            write(&bundle, &directory)?;
            let names: Vec<_> = bundle.files.iter().map(|file| &file.name).collect();
            let value = json!({ "tenant": tenant, "out": directory, "files": names });
            output.result(&value, || written(&tenant, &directory, &bundle));
        }
        None => {
            let files: Map<_, _> =
                bundle.files.iter().map(|file| (file.name.clone(), json!(file.text))).collect();
            output.result(&json!({ "tenant": tenant, "files": files }), || printed(&bundle));
        }
    }
    Ok(Exit::Done)
}

pub(super) fn write(bundle: &Bundle, directory: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::failed(format!("cannot write {}: {error}", path.display()))
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    for file in &bundle.files {
        let path = directory.join(&file.name);
        fs::write(&path, &file.text).map_err(|error| failed(&path, error))?;
        if file.name.ends_with(".sh") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .map_err(|error| failed(&path, error))?;
        }
    }
    Ok(())
}

fn written(tenant: &TenantName, directory: &Path, bundle: &Bundle) -> String {
    let names: Vec<_> = bundle.files.iter().map(|file| format!("  {}", file.name)).collect();
    format!(
        "For the administrator of tenant {tenant}, in {}:\n{}\nREADME.txt says what to do with them; nothing in there is secret",
        directory.display(),
        names.join("\n")
    )
}

fn printed(bundle: &Bundle) -> String {
    let files = bundle.files.iter();
    let files = files.map(|file| format!("==> {} <==\n{}", file.name, file.text.trim_end()));
    files.collect::<Vec<_>>().join("\n\n")
}
