//! A simulated tenant with all that a drill needs: reader, auditor and steward.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use mailkeep_lab::Description;
use mailkeep_model::{Function, TenantName};
use mailkeep_service::{
    DataDirectory, Registration, Service, auditor_rights, reader_rights, steward_rights,
};
use serde_json::{Value, json};

use crate::{
    commands::{
        children::Running,
        simulated::{Admin, Registered, connection, described},
    },
    exit::Failure,
    output::Output,
};

pub(super) const TENANT: &str = "drill";
/// Mailboxes of the simulated tenant.
const MAILBOXES: &str = "3";

pub(super) struct Site {
    pub(super) service: Service,
    pub(super) tenant: TenantName,
    pub(super) lab: Description,
    pub(super) admin: Admin,
    pub(super) registered: HashMap<Function, Registered>,
    pub(super) key_file: PathBuf,
    running: [Running; 2],
}

impl Site {
    /// Starts the lab and a signer in `data`, and does what a tenant's administrator does.
    pub(super) async fn start(data: &Path, output: &Output) -> Result<Self, Failure> {
        output.note("starting a simulated Microsoft 365 and the signer …");
        let key_file = data.join("signer-key.txt");
        let key = key_file.display().to_string();
        let lab_arguments = ["lab", "--mailboxes", MAILBOXES];
        let signer_arguments = ["signer", "--identity-file", &key];
        let (lab, signer) = tokio::join!(
            Running::start(data, &lab_arguments),
            Running::start(data, &signer_arguments),
        );
        let running = [lab?, signer?];
        let lab = described(&running[0].ready)?;
        let admin = Admin::new(&lab)?;
        let caller = "drill".parse().expect("a valid label");
        let service = Service::open(DataDirectory::new(data), caller).await?;
        let tenant: TenantName = TENANT.parse().expect("a valid name");
        service.add_tenant(&tenant, connection(&lab)?).await?;
        let mut site =
            Self { service, tenant, lab, admin, registered: HashMap::new(), key_file, running };
        let reader: Vec<&str> = reader_rights(site.service.extras());
        site.register(Function::Reader, &reader).await?;
        site.register(Function::Auditor, auditor_rights()).await?;
        site.register(Function::Steward, steward_rights()).await?;
        let steward = site.registered[&Function::Steward].service_principal_id.clone();
        for function in [Function::Reader, Function::Auditor] {
            let client_id = site.registered[&function].client_id.clone();
            let owner = json!({ "add_owner": steward });
            let _: Value = site.admin.post(&format!("applications/{client_id}"), &owner).await?;
        }
        site.service
            .set_egress(&site.tenant, vec!["127.0.0.1/32".parse().expect("a network")])
            .await?;
        Ok(site)
    }

    async fn register(&mut self, function: Function, rights: &[&str]) -> Result<(), Failure> {
        let certificate = self.service.certificate(&self.tenant, function).await?;
        let request = json!({
            "tenant": self.lab.tenants.first().map(|tenant| tenant.id),
            "name": format!("Mailkeep {function}"),
            "certificate": certificate.certificate_pem,
            "roles": rights,
        });
        let registered: Registered = self.admin.post("register", &request).await?;
        let client_id = registered.client_id.clone();
        self.service.register(&self.tenant, Registration { function, client_id }).await?;
        self.registered.insert(function, registered);
        Ok(())
    }

    /// The address of a mailbox.
    pub(super) fn mailbox(&self, number: usize) -> Result<&str, Failure> {
        let mailboxes = self.lab.tenants.first().map(|tenant| tenant.mailboxes.as_slice());
        let mailbox = mailboxes.and_then(|mailboxes| mailboxes.get(number));
        mailbox.map(String::as_str).ok_or_else(|| Failure::failed("the lab has too few mailboxes"))
    }

    /// Puts the provider's clock forward: a record of reads is told after two minutes.
    pub(super) async fn wait_for_the_audit_log(&self) -> Result<(), Failure> {
        let forward = json!({ "offset_seconds": 130 });
        let _: Value = self.admin.post("clock", &forward).await?;
        Ok(())
    }

    pub(super) async fn stop(self) {
        for process in self.running {
            process.stop().await;
        }
    }
}
