//! A simulated tenant with all that a drill needs: reader, auditor and steward.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use mailkeep_identity::WitnessLine;
use mailkeep_lab::{Description, OwnIssuer, Thief};
use mailkeep_model::{Function, TenantName};
use mailkeep_service::{
    DataDirectory, Recovery, Registration, Service, Witness, WitnessWay, auditor_rights,
    reader_rights, steward_rights,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    acts::{elsewhere, failed},
    lost_signer::{Others, soon},
};

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
/// What the outside witness keeps; in a drill it lies where everything lies.
const WITNESS: &str = "witness.jsonl";

pub(super) struct Site {
    pub(super) service: Service,
    pub(super) tenant: TenantName,
    pub(super) lab: Description,
    admin: Admin,
    pub(super) registered: HashMap<Function, Registered>,
    key_file: PathBuf,
    lab_process: Running,
    signer: Option<Running>,
}

impl Site {
    /// Starts the lab and a signer in `data`, and does what a tenant's administrator does.
    pub(super) async fn start(data: &Path, output: &Output) -> Result<Self, Failure> {
        output.note("starting a simulated Microsoft 365 and the signer …");
        let key_file = data.join("signer-key.txt");
        let (lab, signer) = tokio::join!(
            Running::start(data, &["lab", "--mailboxes", MAILBOXES]),
            start_signer(data, &key_file),
        );
        let (lab_process, signer) = (lab?, Some(signer?));
        let lab = described(&lab_process.ready)?;
        let admin = Admin::new(&lab)?;
        let service = open(data).await?;
        let tenant: TenantName = TENANT.parse().expect("a valid name");
        service.add_tenant(&tenant, connection(&lab)?).await?;
        let registered = HashMap::new();
        let mut site =
            Self { service, tenant, lab, admin, registered, key_file, lab_process, signer };
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

    /// Puts what a thief's identity provider publishes where the directory finds it.
    pub(super) async fn publish(&self, issuer: &OwnIssuer) -> Result<(), Failure> {
        let _: Value = self.admin.post("issuers", &issuer.published()).await?;
        Ok(())
    }

    /// What somebody with the account of an administrator of Exchange runs, from the thief's address.
    pub(super) async fn exchange(&self, command: &str, parameters: &Value) -> Result<(), Failure> {
        let order = json!({
            "tenant": self.lab.tenants.first().map(|tenant| tenant.id),
            "command": command,
            "parameters": parameters,
            "address": elsewhere(),
        });
        let _: Value = self.admin.post("exchange", &order).await?;
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

    /// The signer is gone for good: its directory with keys, registry, ledger and passwords, and the key
    /// that sealed them. Nobody can reach it any more.
    pub(super) async fn lose_signer(&mut self) -> Result<(), Failure> {
        if let Some(signer) = self.signer.take() {
            signer.stop().await;
        }
        let gone = |error: io::Error| Failure::failed(format!("losing the signer: {error}"));
        fs::remove_dir_all(self.service.data().signer()).map_err(gone)?;
        fs::remove_file(&self.key_file).map_err(gone)?;
        self.reopen().await
    }

    /// Another signer, of which nobody knows anything yet.
    pub(super) async fn begin_signer(&mut self) -> Result<(), Failure> {
        self.signer = Some(start_signer(self.service.data().root(), &self.key_file).await?);
        self.reopen().await
    }

    /// What can be done without an administrator to go on with the new signer.
    pub(super) async fn recover(&self, kit: Option<&Path>) -> Result<Recovery, Failure> {
        let begun = self.service.begin_recovery(&self.tenant, kit).await?;
        Ok(self.service.finish_recovery(begun, soon()).await?)
    }

    /// The administrator registers the certificate that signs now.
    pub(super) async fn administrator_registers(
        &self,
        function: Function,
        others: Others,
    ) -> Result<(), Failure> {
        let certificate = self.service.certificate(&self.tenant, function).await?;
        let path = format!("applications/{}", self.registered[&function].client_id);
        let change = json!({ "add_certificate": certificate.certificate_pem });
        let there: Value = self.admin.post(&path, &change).await?;
        if let Others::Stay = others {
            return Ok(());
        }
        let new = &certificate.thumbprint_sha1;
        let keys = there["keys"].as_array().into_iter().flatten();
        let is_new = |key: &&Value| {
            key["thumbprint"].as_str().is_some_and(|one| one.eq_ignore_ascii_case(new))
        };
        for key in keys.filter(|key| !is_new(key)) {
            let change = json!({ "remove_key": key["key_id"] });
            let _: Value = self.admin.post(&path, &change).await?;
        }
        Ok(())
    }

    /// What the outside witness keeps.
    pub(super) fn witness_lines(&self) -> Result<Vec<WitnessLine>, Failure> {
        let failed = |what: String| Failure::failed(format!("the witness: {what}"));
        let text = fs::read_to_string(self.service.data().root().join(WITNESS));
        let text = text.map_err(|error| failed(error.to_string()))?;
        let lines = WitnessLine::parse_all(&text);
        let lines = lines.map_err(|(line, what)| failed(format!("line {line}: {what}")))?;
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }

    /// As another process does, which remembers no connection.
    async fn reopen(&mut self) -> Result<(), Failure> {
        let data = self.service.data().root().to_owned();
        self.service = open(&data).await?;
        Ok(())
    }

    pub(super) async fn stop(self) {
        for process in self.signer.into_iter().chain([self.lab_process]) {
            process.stop().await;
        }
    }
}

async fn open(data: &Path) -> Result<Service, Failure> {
    let caller = "drill".parse().expect("a valid label");
    let way = WitnessWay::File(data.join(WITNESS));
    let witness = Witness { name: "auditor".to_owned(), way };
    let service = Service::open(DataDirectory::new(data), caller).await?;
    Ok(service.with_witnesses(vec![witness]))
}

async fn start_signer(data: &Path, key_file: &Path) -> Result<Running, Failure> {
    let key = key_file.display().to_string();
    Running::start(data, &["signer", "--identity-file", &key]).await
}
