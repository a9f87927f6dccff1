use ipnet::IpNet;
use mailkeep_control::Tenant;
use mailkeep_identity::CertificateInfo;
use mailkeep_model::{Function, TenantName};
use mailkeep_service::{
    Connection, Outcome as Checked, Registration, Service, reader_rights, restorer_rights,
};
use serde_json::{Value, json};

use super::{
    Outcome, browse::rfc3339, canary, fleet, mailboxes, make_service, open_service, setup,
};
use crate::{
    cli::{self, Global, TenantAdd},
    exit::{Exit, Failure},
    output::{Output, plain, table},
};

pub(super) async fn run(global: &Global, command: cli::Tenant, output: &Output) -> Outcome {
    match command {
        cli::Tenant::Add(arguments) => add(&make_service(global).await?, *arguments, output).await,
        cli::Tenant::Import { file, ca } => {
            fleet::import(make_service(global).await?, &file, ca.as_deref(), output).await
        }
        cli::Tenant::List => list(&open_service(global).await?, output).await,
        cli::Tenant::Show { tenant } => show(&open_service(global).await?, &tenant, output).await,
        cli::Tenant::Mailboxes(arguments) => {
            mailboxes::run(&open_service(global).await?, arguments, output).await
        }
        cli::Tenant::Egress { tenant, networks } => {
            egress(&open_service(global).await?, &tenant, networks, output).await
        }
        cli::Tenant::Canary(arguments) => {
            canary::plan(&open_service(global).await?, arguments, output).await
        }
        cli::Tenant::Setup(arguments) => {
            setup::run(&open_service(global).await?, arguments, output).await
        }
        cli::Tenant::Check { tenant } => check(&open_service(global).await?, &tenant, output).await,
    }
}

async fn add(service: &Service, arguments: TenantAdd, output: &Output) -> Outcome {
    let name = arguments.tenant;
    let selection = mailboxes::selection(arguments.selection);
    let known =
        service.control().tenant(&name).await.map_err(mailkeep_service::ServiceError::from)?;
    match (known, arguments.directory) {
        (Some(_), Some(_)) => {
            return Err(Failure::failed(format!(
                "tenant {name} exists already; to name its application: 'mailkeep tenant add {name} --client-id reader=ID'"
            )));
        }
        (None, None) => {
            return Err(Failure::usage(format!(
                "which directory is tenant {name}? Name its id or one of its domains with --directory"
            )));
        }
        (Some(_), None)
            if arguments.client_id.is_empty()
                && selection.is_none()
                && !setup::is_asked(&arguments.asked) =>
        {
            return Err(Failure::usage(format!(
                "tenant {name} exists already; name what is new, e.g. --client-id reader=ID"
            )));
        }
        (Some(_), None) => {}
        (None, Some(directory)) => {
            let ca_pem = match arguments.ca {
                None => None,
                Some(path) => Some(std::fs::read_to_string(&path).map_err(|error| {
                    Failure::usage(format!("cannot read {}: {error}", path.display()))
                })?),
            };
            let connection = Connection {
                provider: arguments.provider,
                directory,
                authority: arguments.authority,
                graph: arguments.graph,
                ca_pem,
            };
            service.add_tenant(&name, connection).await?;
        }
    }
    if let Some(selection) = &selection {
        service.select_mailboxes(&name, selection).await?;
    }
    for (function, client_id) in arguments.client_id {
        service.register(&name, Registration { function, client_id }).await?;
    }
    let tenant = service.tenant(&name).await?;
    if setup::is_asked(&arguments.asked) {
        let arguments = cli::TenantSetup { tenant: name, asked: arguments.asked };
        return setup::run(service, arguments, output).await;
    }
    let certificate = service.certificate(&name, Function::Reader).await?;
    output.result(&json_of(&tenant, Some(&certificate)), || {
        if !has_reader(&tenant) {
            to_register(service, &tenant, &certificate)
        } else {
            format!("tenant {name} is set up; 'mailkeep tenant check {name}' tries every right")
        }
    });
    Ok(Exit::Done)
}

async fn egress(
    service: &Service,
    tenant: &TenantName,
    networks: Vec<IpNet>,
    output: &Output,
) -> Outcome {
    if !networks.is_empty() {
        service.set_egress(tenant, networks).await?;
    }
    let networks = service.watch(tenant).await?.egress;
    output.result(&json!({"tenant": tenant, "egress": networks}), || match networks.as_slice() {
        [] => format!(
            "it is not known where our requests come from: a use of a key from elsewhere shows only when something else is wrong with it. Set it: 'mailkeep tenant egress {tenant} ADDRESS…'"
        ),
        networks => networks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    });
    Ok(Exit::Done)
}

async fn list(service: &Service, output: &Output) -> Outcome {
    let tenants =
        service.control().tenants().await.map_err(mailkeep_service::ServiceError::from)?;
    if output.is_json() {
        for tenant in &tenants {
            output.result(&json_of(tenant, None), String::new);
        }
        return Ok(Exit::Done);
    }
    if tenants.is_empty() {
        output.note("no tenants yet; 'mailkeep tenant add' makes the first one");
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = tenants
        .iter()
        .map(|tenant| {
            let ready = if has_reader(tenant) { "set up" } else { "to be registered" };
            vec![
                tenant.name.to_string(),
                tenant.provider.to_string(),
                tenant.directory_id.clone(),
                ready.to_owned(),
            ]
        })
        .collect();
    output.result(&json!({}), || table(&rows));
    Ok(Exit::Done)
}

async fn show(service: &Service, name: &TenantName, output: &Output) -> Outcome {
    let tenant = service.tenant(name).await?;
    // Without the signer the rest is still worth showing.
    let certificate = service.known_certificate(name, Function::Reader).await;
    let known = service.control().mailboxes(name).await;
    let known = known.map_err(mailkeep_service::ServiceError::from)?;
    let mut value = json_of(&tenant, certificate.as_ref().ok().and_then(Option::as_ref));
    let selection = service.control().selection(name).await;
    let selection = selection.map_err(mailkeep_service::ServiceError::from)?;
    value["selection"] = json!(selection);
    value["mailboxes"] = known.iter().map(mailboxes::json_of).collect();
    output.result(&value, || {
        let mut text = format!(
            "tenant     {}\nprovider   {}\ndirectory  {}\nauthority  {}\ngraph      {}\ntrusts     {}\ndomains    {}",
            tenant.name,
            tenant.provider,
            tenant.directory_id,
            tenant.authority,
            tenant.graph,
            if tenant.ca_pem.is_some() { "its own certificates" } else { "the system's" },
            if tenant.domains.is_empty() { "(not read yet)".into() } else { tenant.domains.join(", ") },
        );
        for function in &tenant.functions {
            text.push_str(&format!("\n{:<10} application {}", function.function, function.client_id));
        }
        match &certificate {
            Ok(Some(certificate)) if !has_reader(&tenant) => {
                text.push_str(&format!("\n\n{}", to_register(service, &tenant, certificate)));
            }
            Ok(Some(certificate)) => text.push_str(&format!(
                "\n{:<10} certificate {} until {} (--json prints it)",
                "",
                certificate.thumbprint_sha256,
                certificate.not_after.date()
            )),
            Ok(None) => text.push_str("\n\nkeys: none"),
            Err(error) => text.push_str(&format!("\n\nkeys: {error}")),
        }
        if has_reader(&tenant) && !has(&tenant, Function::Restorer) {
            text.push_str(&format!("\n\n{}", restorer_to_register(service, name)));
        }
        text.push_str(&format!("\n{}", mailboxes::words(&selection)));
        let rows: Vec<_> = known.iter().map(mailboxes::row).collect();
        if !rows.is_empty() {
            text.push_str(&format!("\n\n{}", table(&rows)));
        }
        text
    });
    Ok(Exit::Done)
}

async fn check(service: &Service, name: &TenantName, output: &Output) -> Outcome {
    let checks = service.check_tenant(name).await?;
    let mut exit = Exit::Done;
    let mut rows = Vec::new();
    for check in &checks {
        exit = worse(exit, &check.outcome);
        let (word, text) = match &check.outcome {
            Checked::Good(text) => ("good", text),
            Checked::Warning(text) => ("warning", text),
            Checked::Missing(text) => ("missing", text),
            Checked::Untried(text) => ("untried", text),
            Checked::Partly(text) => ("partly", text),
            Checked::Excess(text) => ("excess", text),
            Checked::Bad { reason, .. } => ("bad", reason),
            _ => continue,
        };
        if output.is_json() {
            let line = json!({"check": check.what, "function": check.function, "outcome": word, "detail": text});
            output.result(&line, String::new);
        }
        let function = check.function.map(|one| one.to_string()).unwrap_or_default();
        rows.push(vec![word.to_owned(), function, check.what.clone(), plain(text)]);
    }
    if !output.is_json() {
        output.result(&json!({}), || table(&rows));
    }
    Ok(exit)
}

/// What a check ends with: a refusal counts most, then what failed, then what is not as it should be.
fn worse(so_far: Exit, outcome: &Checked) -> Exit {
    match outcome {
        Checked::Bad { .. } if so_far == Exit::Refused => so_far,
        Checked::Bad { kind, .. } => match Exit::of(*kind) {
            Exit::Refused => Exit::Refused,
            failed if matches!(so_far, Exit::Done | Exit::Partly) => failed,
            _ => so_far,
        },
        Checked::Partly(_) | Checked::Excess(_) if so_far == Exit::Done => Exit::Partly,
        _ => so_far,
    }
}

fn has_reader(tenant: &Tenant) -> bool {
    has(tenant, Function::Reader)
}

fn has(tenant: &Tenant, function: Function) -> bool {
    tenant.functions.iter().any(|known| known.function == function)
}

fn json_of(tenant: &Tenant, certificate: Option<&CertificateInfo>) -> Value {
    let functions = tenant.functions.iter();
    let functions: Vec<_> = functions
        .map(|one| json!({"function": one.function, "client_id": one.client_id, "key_id": one.key_id, "thumbprint_sha256": one.thumbprint}))
        .collect();
    let mut value = json!({
        "tenant": tenant.name,
        "provider": tenant.provider,
        "directory": tenant.directory_id,
        "authority": tenant.authority,
        "graph": tenant.graph,
        "domains": tenant.domains,
        "functions": functions,
    });
    if let Some(certificate) = certificate {
        value["certificate"] = json!(certificate.certificate_pem);
        value["thumbprint_sha256"] = json!(certificate.thumbprint_sha256);
        value["not_after"] = json!(rfc3339(certificate.not_after));
    }
    value
}

/// What the tenant's administrator has to do in Entra ID.
fn to_register(service: &Service, tenant: &Tenant, certificate: &CertificateInfo) -> String {
    let name = &tenant.name;
    format!(
        "To be registered in the directory {directory} (Entra ID, App registrations), once:\n\
         1. A new registration 'Mailkeep reader', single tenant, no redirect address.\n\
         2. Certificates & secrets: upload this certificate, and nothing else:\n\n\
         {pem}\n\
            SHA-256 thumbprint {thumbprint}, valid until {until}\n\
         3. API permissions, Microsoft Graph, application permissions: {rights};\n\
            then grant admin consent. To confine it to some mailboxes use RBAC for Applications instead of Mail.Read.\n\
         4. mailkeep tenant add {name} --client-id reader=APPLICATION-ID\n\
         5. mailkeep tenant check {name}\n\
         Or by scripts, with the other functions, confined to some mailboxes and locked to our addresses:\n\
         mailkeep tenant setup {name} --function reader --function auditor --out DIR\n\n\
         {restorer}",
        restorer = restorer_to_register(service, name),
        rights = listed(&reader_rights(service.extras())),
        directory = tenant.directory_id,
        pem = certificate.certificate_pem.trim_end(),
        thumbprint = certificate.thumbprint_sha256,
        until = certificate.not_after.date(),
    )
}

/// What has to be done before anything can be restored.
fn restorer_to_register(service: &Service, name: &TenantName) -> String {
    format!(
        "To restore as well, a second registration 'Mailkeep restorer' without any certificate, with\n\
         {rights};\n\
         then mailkeep tenant add {name} --client-id restorer=APPLICATION-ID. Its key is made when a\n\
         restore begins and destroyed when it ends.",
        rights = listed(&restorer_rights(service.extras())),
    )
}

/// Rights, some on each line.
fn listed(rights: &[&str]) -> String {
    let lines: Vec<_> = rights.chunks(4).map(|some| some.join(", ")).collect();
    lines.join(",\n   ")
}
