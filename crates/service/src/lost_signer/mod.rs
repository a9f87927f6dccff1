//! The signer is gone for good, with keys, registry, ledger and passwords: another one takes its place.
//!
//! Nothing of it comes back but what somebody kept elsewhere: the repository's password, in the recovery
//! kit. Keys are made anew, and those from before are removed at the provider: they are lost, not stolen,
//! but nobody can know that. The ledger begins anew, which must not be a way to shed one that is in
//! somebody's way: only who runs the signer can order it, its first signature comes after the record of it,
//! it is an incident until somebody closes it, and all that was done before is blind.
//! [Decision 0019](../../../docs/decisions/0019-when-the-signer-is-lost.md).

mod kit;
mod provider;
mod succession;

use std::path::Path;

use mailkeep_control::{Tenant, TenantFunction};
use mailkeep_exchange::ExchangeError;
use mailkeep_identity::{Binding, LedgerEnd, ReceiptLog};
use mailkeep_model::{Function, TenantName};
use mailkeep_sentry::{Evidence, Incident, IncidentKind, Source};
use serde::Serialize;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub(crate) use succession::KnownOrigin;
pub use succession::{SignerOf, Succession};

use crate::{Bundle, BundleFile, Left, Purged, Service, ServiceError};

/// How a tenant stands after its signer was lost.
#[derive(Debug, Serialize)]
pub struct Recovery {
    /// Whose.
    pub tenant: TenantName,
    /// What the new signer's ledger says of the lost one.
    pub succession: Succession,
    /// Whether the new signer was taken for ours just now; the same call did so before otherwise.
    pub begun: bool,
    /// Whether there is a repository; then it opens with the password that the new signer has.
    pub repository: bool,
    /// The functions, each with its new key.
    pub functions: Vec<RecoveredFunction>,
    /// Credentials from before that were taken away at the provider.
    pub purged: Vec<Purged>,
    /// What somebody else has to do.
    pub left: Vec<Left>,
}

/// The new key of a function.
#[derive(Debug, Serialize)]
pub struct RecoveredFunction {
    /// The function.
    pub function: Function,
    /// The application that the key is bound to, as `control` names it.
    pub client_id: String,
    /// The signer's name for the key.
    pub key_id: String,
    /// What an administrator sees of its certificate.
    pub thumbprint_sha1: String,
    /// Whether the provider takes it.
    pub accepted: bool,
}

impl Recovery {
    /// Whether nothing is left to do.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty() && self.functions.iter().all(|one| one.accepted)
    }
}

impl Service {
    /// Takes the signer that is there for ours, in the place of one that was lost, and does for a tenant
    /// what can be done here: the repository's password from the recovery kit, and a new key for every
    /// function. What an administrator needs of it ([`Service::recovery_bundle`]) can be made then;
    /// [`Service::finish_recovery`] does the rest. The same call again goes on where this one stopped.
    ///
    /// # Errors
    /// [`ServiceError::SignerNotLost`], [`ServiceError::NoSuccession`], [`ServiceError::WrongKit`], and what
    /// the signer refuses.
    pub async fn begin_recovery(
        &self,
        name: &TenantName,
        kit: Option<&Path>,
    ) -> Result<Recovery, ServiceError> {
        let tenant = self.tenant(name).await?;
        let (succession, begun) = self.succession_for(&tenant).await?;
        // First what may be refused: of a wrong kit nothing is left behind.
        let repository = self.bring_password(&tenant, kit).await?;
        if begun {
            self.take_new_signer(name, &succession).await?;
        }
        self.make_keys_anew(tenant).await?;
        Ok(Recovery {
            tenant: name.clone(),
            succession,
            begun,
            repository,
            functions: Vec::new(),
            purged: Vec::new(),
            left: Vec::new(),
        })
    }

    /// Does at the provider what the new keys allow, until the deadline.
    ///
    /// # Errors
    /// What the signer refuses. What the provider refuses is in the report, and what somebody else is about
    /// to do with a key.
    pub async fn finish_recovery(
        &self,
        mut recovery: Recovery,
        deadline: OffsetDateTime,
    ) -> Result<Recovery, ServiceError> {
        let name = recovery.tenant.clone();
        let tenant = self.tenant(&name).await?;
        self.register_anew(&tenant, &mut recovery, deadline).await?;
        let finished = recovery.is_complete();
        self.change_watch(&name, |watch| {
            if let Some(lost) = &mut watch.signer_lost {
                lost.finished = finished;
            }
        })
        .await?;
        Ok(recovery)
    }

    /// What the tenant's administrator runs to have the new keys registered, the steward's among them, and
    /// everything from before removed.
    ///
    /// # Errors
    /// As for [`Service::setup`].
    pub async fn recovery_bundle(&self, name: &TenantName) -> Result<Bundle, ServiceError> {
        let mut bundle = self.setup(name, &[]).await?;
        let tenant = self.tenant(name).await?;
        // It has no key but in an emergency, which this is.
        if tenant.functions.iter().any(|one| one.function == Function::Steward)
            && let Some(certificate) = self.known_certificate(name, Function::Steward).await?
        {
            let name = format!("{}.pem", Function::Steward);
            bundle.files.push(BundleFile { name, text: certificate.certificate_pem });
        }
        Ok(bundle)
    }

    /// From now on the new signer is ours. Never silently: it is in the audit log, and an incident that
    /// stays open until somebody has understood it.
    async fn take_new_signer(
        &self,
        name: &TenantName,
        succession: &Succession,
    ) -> Result<(), ServiceError> {
        let now = OffsetDateTime::now_utc();
        let seen = self.watch(name).await?.ledger_end();
        let evidence = Evidence {
            at: succession.at,
            source: Source::Ledger,
            record: succession.present.checkpoint_key.to_string(),
            text: format!(
                "{}; {}. Reason given: {}",
                succession.by_whom(),
                succession.end_in_words(seen.as_ref()),
                succession.reason
            ),
            address: None,
            uti: None,
        };
        let subject = succession.present.checkpoint_key.to_string();
        let incident = Incident::of(IncidentKind::LedgerBegunAnew, None, None, &subject, evidence);
        // Before the pins: a crash in between repeats it, and leaves no change that nobody is told of.
        let (recorded, _) = self.keep_incident(name, &incident, now).await?;
        self.close_what_that_explains(name, recorded.id(), now).await?;
        self.audit(name, "identity.recover", json!(succession)).await?;
        self.note_in_receipts(name, succession, now)?;
        let present = succession.present.clone();
        self.change_watch(name, |watch| watch.take_new_signer(present, now)).await
    }

    /// That the ledger is another one was an incident before anybody ordered it. It is the same matter.
    async fn close_what_that_explains(
        &self,
        name: &TenantName,
        by: i64,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        for open in self.control.incidents(Some(name)).await? {
            if open.closed.is_none() && open.kind == IncidentKind::LedgerDamaged.as_str() {
                let note = format!("another signer took the place of a lost one: incident {by}");
                self.control.close_incident(open.id, &note, now).await?;
            }
        }
        Ok(())
    }

    /// The workers' own chain goes on; behind this, its receipts are about the new ledger.
    fn note_in_receipts(
        &self,
        name: &TenantName,
        succession: &Succession,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let receipts = ReceiptLog::open(self.data.receipts()).map_err(ExchangeError::from)?;
        let noted = receipts.signer_replaced(now, name, &succession.present.checkpoint_key);
        Ok(noted.map_err(ExchangeError::from)?)
    }

    /// A key for each function, bound as `control` knows it; the registry that knew better is lost.
    async fn make_keys_anew(&self, mut tenant: Tenant) -> Result<(), ServiceError> {
        // What is known of the keys from before stays: a use of one of them from now on is a theft.
        let endpoint = format!("{}/{}/oauth2/v2.0/token", tenant.authority, tenant.directory_id);
        let mut functions = Vec::new();
        for known in &tenant.functions {
            let mut known = known.clone();
            // The key that writes is made when a restore begins.
            if known.function != Function::Restorer {
                let (name, function) = (&tenant.name, known.function);
                let certificate = self.certificate(name, function).await?;
                let binding = Binding {
                    client_id: known.client_id.clone(),
                    token_endpoint: endpoint.clone(),
                    object_id: None,
                };
                let signer = self.signer().await?;
                signer.bind_to(&self.new_job(), name, function, binding).await?;
                known.key_id = certificate.key_id;
                known.thumbprint = certificate.thumbprint_sha256;
            }
            functions.push(known);
        }
        if functions
            .iter()
            .zip(&tenant.functions)
            .any(|(new, old): (&TenantFunction, _)| new != old)
        {
            tenant.functions = functions;
            self.control.update_tenant(&tenant).await?;
        }
        Ok(())
    }
}

/// Where a lost ledger ended, for people.
fn words_for(lost: Option<&LedgerEnd>) -> String {
    match lost {
        None => "nobody knows where the one before ended".to_owned(),
        Some(LedgerEnd { checkpoint, checkpoint_key }) => {
            // Enough to tell keys apart; the whole is in the ledger, the witness and `--json`.
            let key: String = checkpoint_key.to_string().chars().take(12).collect();
            format!(
                "the one before was last seen at record {} on {} (hash {}, checkpoint key {key}…)",
                checkpoint.head.seq,
                to_the_second(checkpoint.time),
                checkpoint.head.hash
            )
        }
    }
}

/// A time as people read it.
fn to_the_second(time: OffsetDateTime) -> String {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}
