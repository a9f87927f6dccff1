//! A simulated tenant with all that a drill needs: reader, auditor and steward.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use mailkeep_lab::{Description, Thief};
use mailkeep_model::{Function, TenantName};
use mailkeep_service::{
    DataDirectory, Registration, Service, auditor_rights, reader_rights, steward_rights,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::acts::{elsewhere, failed};

use crate::{
    commands::{
        children::Running,
        simulated::{Admin, Registered, connection, described},
    },
    exit::Failure,
    output::Output,
};

const TENANT: &str = "drill";
/// Mailboxes of the simulated tenant.
const MAILBOXES: &str = "3";

pub(super) struct Site {
    pub(super) service: Service,
    pub(super) tenant: TenantName,
    pub(super) lab: Description,
    admin: Admin,
    pub(super) registered: HashMap<Function, Registered>,
    key_file: PathBuf,
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
        site.register(Function::Auditor, &auditor_rights()).await?;
        site.register(Function::Steward, &steward_rights()).await?;
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
        let registered = self.add(function, rights).await?;
        self.registered.insert(function, registered);
        Ok(())
    }

    /// Has an application registered, with its rights granted.
    pub(super) async fn add(
        &self,
        function: Function,
        rights: &[&str],
    ) -> Result<Registered, Failure> {
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
        Ok(registered)
    }

    /// What an administrator of the tenant does to the application of a function.
    pub(super) async fn administrator_changes(
        &self,
        function: Function,
        change: &Value,
    ) -> Result<(), Failure> {
        let path = format!("applications/{}", self.registered[&function].client_id);
        let _: Value = self.admin.post(&path, change).await?;
        Ok(())
    }

    /// Locks all applications of the tenant to this machine; `state` as in Graph's policies.
    pub(super) async fn lock(&self, state: &str) -> Result<(), Failure> {
        const POLICY: &str = "6c0d5a52-0000-4000-8000-000000000001";
        const PLACE: &str = "6c0d5a52-0000-4000-8000-000000000002";
        let order = json!({
            "tenant": self.lab.tenants.first().map(|tenant| tenant.id),
            "policies": [{
                "id": POLICY,
                "displayName": "Mailkeep only from here",
                "state": state,
                "conditions": {
                    "clientApplications": {
                        "includeServicePrincipals": ["ServicePrincipalsInMyTenant"],
                    },
                    "locations": { "includeLocations": ["All"], "excludeLocations": [PLACE] },
                },
                "grantControls": { "operator": "OR", "builtInControls": ["block"] },
            }],
            "locations": [{
                "id": PLACE,
                "displayName": "Mailkeep",
                "isTrusted": true,
                "ipRanges": ["127.0.0.1/32"],
            }],
        });
        let _: Value = self.admin.post("conditional-access", &order).await?;
        Ok(())
    }

    /// Somebody who opened the reader's sealed key with the key file that lay beside it.
    pub(super) fn thief(&self) -> Result<Thief, Failure> {
        let sealed = self.service.data().signer().join("keys").join(TENANT).join("reader.age");
        Thief::break_in(&self.key_file, &sealed, &self.lab, elsewhere()).map_err(failed)
    }

    /// Puts the provider's clock forward to that time.
    pub(super) async fn wait_until(&self, time: OffsetDateTime) -> Result<(), Failure> {
        let seconds = (time - OffsetDateTime::now_utc()).whole_seconds();
        let _: Value = self.admin.post("clock", &json!({ "offset_seconds": seconds })).await?;
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
