use mailkeep_lab::{Lab, LabOptions};
use mailkeep_service::DataDirectory;

use super::{Outcome, children};
use crate::{
    cli::{self, Global},
    exit::{Exit, Failure},
    output::Output,
};

pub(super) async fn run(global: &Global, arguments: cli::Lab, output: &Output) -> Outcome {
    let data = DataDirectory::new(&global.data);
    data.create()?;
    let mut options = LabOptions::new(global.data.join("lab"));
    options.listen = arguments.listen;
    options.seed = arguments.seed;
    options.tenants = arguments.tenants;
    options.mailboxes = arguments.mailboxes;
    let lab = Lab::start(options).await.map_err(|error| Failure::failed(error.to_string()))?;
    let description = lab.description();
    let mut line = serde_json::to_value(description).expect("a description is plain data");
    // Every result gets it.
    line.as_object_mut().map(|line| line.remove("schema"));
    output.result(&line, || {
        let mut text = format!(
            "lab: a simulated Entra ID and Exchange Online\n  authority    {}\n  graph        {}\n  certificates {}\n  admin        {} (token in {})",
            description.authority,
            description.graph,
            description.ca.display(),
            description.admin,
            description.admin_token_file.display(),
        );
        for tenant in &description.tenants {
            let mailboxes = tenant.mailboxes.len();
            text.push_str(&format!("\n  tenant       {} {} ({mailboxes} mailboxes)", tenant.id, tenant.domain));
        }
        text.push_str("\nEnd with Ctrl-C");
        text
    });
    children::until_told_to_end(arguments.until_stdin_closes).await;
    lab.shutdown().await;
    Ok(Exit::Done)
}
