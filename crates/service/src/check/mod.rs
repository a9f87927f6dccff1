//! Whether each right that a tenant was set up for works, found out by using it; and what is granted
//! that nobody needs.

mod functions;
mod granted;
mod reach;
mod reader;

use mailkeep_control::Tenant;
use mailkeep_exchange::{ExchangeError, Extras, GraphAuditor, GraphProvider};
use mailkeep_identity::CredentialInfo;
use mailkeep_model::{Function, Mailbox, TenantName};
use time::OffsetDateTime;

use self::granted::Grants;
use crate::{
    Asked, ErrorKind, Needs, Service, ServiceError, certificates::expiry, restorer_rights,
    setup::has_standing_key,
};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Whose, where it is about one function.
    pub function: Option<Function>,
    /// What was looked at; a right by its name.
    pub what: String,
    /// What was seen.
    pub outcome: Outcome,
}

/// What a check saw.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// As it should be, with a detail.
    Good(String),
    /// It works, but somebody should know.
    Warning(String),
    /// It is not set up; what cannot be done without it, and how to set it up.
    Missing(String),
    /// It cannot be looked at from here; why, and what it should be.
    Untried(String),
    /// It works for some and not for others; for which not, and what to do.
    Partly(String),
    /// More is granted than the function needs; what, and what to do.
    Excess(String),
    /// It does not work; why, and what to do.
    Bad {
        /// What kind of failure.
        kind: ErrorKind,
        /// Why, and what to do.
        reason: String,
    },
}

/// What is found, and about which function.
#[derive(Default)]
struct Checks {
    all: Vec<Check>,
    function: Option<Function>,
}

/// What all functions' checks are about.
struct Scene {
    tenant: Tenant,
    asked: Asked,
    needs: Needs,
    held: Vec<CredentialInfo>,
    /// All mailboxes of the tenant, as far as somebody may list them.
    everybody: Vec<Mailbox>,
    /// Those in the group that the functions are confined to; `None` without one, or when nobody may
    /// list it.
    confined: Option<Vec<Mailbox>>,
    /// What the directory says was granted, where the auditor may look.
    grants: Grants,
    /// The way to logs and registrations; why there is none.
    auditor: Opened<GraphAuditor>,
    /// The reader's way to mailboxes.
    reader: Opened<GraphProvider>,
}

/// A connection for which there is a token, and what that grants where it can be read. Asked for once: a
/// key that is refused is tried for a while, because it may just have been added.
type Opened<T> = Result<(T, Option<Vec<String>>), ServiceError>;

impl Service {
    /// Looks at every function that a tenant is set up for, right by right, and says what a restore
    /// will need.
    ///
    /// # Errors
    /// [`ServiceError::NoTenant`]. What does not work is in the checks.
    pub async fn check_tenant(&self, name: &TenantName) -> Result<Vec<Check>, ServiceError> {
        let tenant = self.tenant(name).await?;
        let mut checks = Checks::default();
        let signer = match self.signer().await {
            Ok(signer) => signer,
            Err(error) => {
                checks.bad("signer", &error);
                return Ok(checks.all);
            }
        };
        checks.good("signer", "answers");
        let held = signer.credentials(Some(name)).await?;
        let (asked, needs) = (self.asked(name).await?, self.needs(name).await?);
        checks.restorer(&tenant, self.extras, &held);
        checks.keys(name, &held);
        checks.not_registered(&tenant, &asked);
        let mut scene = Scene {
            auditor: self.open_auditor(&tenant).await,
            reader: self.open_for(&tenant, Function::Reader).await,
            tenant,
            asked,
            needs,
            held,
            everybody: Vec::new(),
            confined: None,
            grants: Grants::default(),
        };
        self.list(&mut scene, &mut checks).await?;
        self.check_reader(&scene, &mut checks).await;
        for function in scene.tenant.functions.iter().map(|known| known.function) {
            checks.function = Some(function);
            match function {
                Function::Responder => self.check_responder(&scene, &mut checks).await,
                Function::Restorer => self.check_restorer(&scene, &mut checks).await,
                Function::Auditor => self.check_auditor(&scene, &mut checks).await,
                Function::Prober => self.check_prober(&scene, &mut checks).await,
                Function::Steward => self.check_steward(&scene, &mut checks).await,
                _ => {}
            }
        }
        Ok(checks.all)
    }
}

impl Service {
    /// A function's way to mailboxes, when it gets a token.
    async fn open_for(&self, tenant: &Tenant, function: Function) -> Opened<GraphProvider> {
        let extras = if function == Function::Reader { self.extras } else { Extras::default() };
        let provider = self.provider_for(tenant, function, extras, &self.new_job()).await?;
        let granted = provider.granted_rights().await?;
        Ok((provider, granted))
    }

    async fn open_auditor(&self, tenant: &Tenant) -> Opened<GraphAuditor> {
        let auditor = self.auditor(tenant).await?;
        let granted = auditor.granted_rights().await?;
        Ok((auditor, granted))
    }
}

impl Scene {
    fn has_key(&self, function: Function) -> bool {
        has_key(&self.held, function)
    }
}

fn has_key(held: &[CredentialInfo], function: Function) -> bool {
    held.iter().any(|one| one.key_use.function == function && one.certificate.is_some())
}

impl Checks {
    /// There is a token for a function, or there is none.
    fn opened<'a, T>(
        &mut self,
        scene: &Scene,
        function: Function,
        opened: &'a Opened<T>,
    ) -> Option<&'a T> {
        match opened {
            Ok((way, granted)) => {
                self.good("token", format!("Entra ID accepts the {function} key"));
                self.granted(scene, function, granted.as_deref());
                Some(way)
            }
            Err(error @ ServiceError::Exchange(_)) => {
                self.bad("token", error);
                None
            }
            Err(error) => {
                self.bad("connection", error);
                None
            }
        }
    }

    fn say(&mut self, what: &str, outcome: Outcome) {
        self.all.push(Check { function: self.function, what: what.into(), outcome });
    }

    fn good(&mut self, what: &str, detail: impl Into<String>) {
        self.say(what, Outcome::Good(detail.into()));
    }

    fn warning(&mut self, what: &str, detail: impl Into<String>) {
        self.say(what, Outcome::Warning(detail.into()));
    }

    fn untried(&mut self, what: &str, detail: impl Into<String>) {
        self.say(what, Outcome::Untried(detail.into()));
    }

    fn bad(&mut self, what: &str, error: &ServiceError) {
        let outcome = Outcome::Bad { kind: error.kind(), reason: error.to_string() };
        self.say(what, outcome);
    }

    /// What came of using a right.
    fn used(&mut self, right: &str, tried: Result<String, ExchangeError>) {
        match tried {
            Ok(detail) => self.good(right, detail),
            Err(error @ ExchangeError::NotFound { .. }) => self.warning(right, error.to_string()),
            // The right is there; what it would show is not.
            Err(error @ (ExchangeError::Unlicensed { .. } | ExchangeError::SwitchedOff { .. })) => {
                self.say(right, Outcome::Partly(error.to_string()));
            }
            Err(error @ ExchangeError::Forbidden { right, .. }) => self.bad(right, &error.into()),
            Err(error) => self.bad(right, &error.into()),
        }
    }

    /// What there is to say of the application that restores. Its key exists only while a restore
    /// runs, so nothing can be asked in its name otherwise.
    fn restorer(&mut self, tenant: &Tenant, extras: Extras, held: &[CredentialInfo]) {
        if has_key(held, Function::Restorer) {
            return;
        }
        let (name, rights) = (&tenant.name, restorer_rights(extras).join(", "));
        let named = tenant.functions.iter().find(|known| known.function == Function::Restorer);
        let outcome = match named {
            Some(named) => Outcome::Untried(format!(
                "application {}: not tried, because its key exists only while a restore runs. It needs {rights}, with admin consent; its certificate is uploaded when a restore prints it",
                named.client_id
            )),
            None => Outcome::Missing(format!(
                "not named yet: what is backed up can be read and exported, but not restored into mailboxes. Register 'Mailkeep restorer' without a certificate, with {rights}; then 'mailkeep tenant add {name} --client-id restorer=ID'"
            )),
        };
        self.function = Some(Function::Restorer);
        self.say("restorer application", outcome);
        self.function = None;
    }

    /// When certificates end.
    fn keys(&mut self, name: &TenantName, held: &[CredentialInfo]) {
        let now = OffsetDateTime::now_utc();
        for credential in held {
            let function = credential.key_use.function;
            self.function = Some(function);
            let what = format!("{function} key");
            if function == Function::Restorer {
                self.warning(&what, "it exists: a restore runs now, or one was cut off; the next restore, or 'mailkeep serve', destroys one that was left");
                continue;
            }
            let Some(active) = &credential.certificate else {
                let reason = "the signer's file of this key is damaged; restore it from a backup of the signer's directory".to_owned();
                self.say(&what, Outcome::Bad { kind: ErrorKind::Failed, reason });
                continue;
            };
            let ending: Vec<_> =
                credential.keys.iter().filter_map(|key| expiry(name, function, key, now)).collect();
            for one in &ending {
                let text = one.text.clone();
                let refused = Outcome::Bad { kind: ErrorKind::Refused, reason: text.clone() };
                self.say(&what, if one.over { refused } else { Outcome::Warning(text) });
            }
            if ending.is_empty() {
                self.good(&what, format!("certificate valid until {}", active.not_after.date()));
            }
        }
        self.function = None;
    }

    /// What somebody wanted and nobody has registered yet.
    fn not_registered(&mut self, tenant: &Tenant, asked: &Asked) {
        let name = &tenant.name;
        // These two are spoken of anyway.
        let others = asked
            .functions
            .iter()
            .filter(|one| !matches!(one, Function::Reader | Function::Restorer));
        for function in others {
            if tenant.functions.iter().any(|known| known.function == *function) {
                continue;
            }
            let text = format!(
                "asked for, not named yet: 'mailkeep tenant setup {name} --function {function} --out DIR' says how to register it; then 'mailkeep tenant add {name} --client-id {function}=ID'"
            );
            self.function = Some(*function);
            self.say(&format!("{function} application"), Outcome::Missing(text));
        }
        self.function = None;
    }

    /// Of a function whose key is not here most of the time.
    fn is_away(&mut self, function: Function) {
        debug_assert!(!has_standing_key(function));
        self.untried(
            &format!("{function} application"),
            "not tried: its certificate is not registered, as it should be until it is needed",
        );
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_control::TenantFunction;
    use mailkeep_model::ProviderKind;

    use super::*;

    fn checked(functions: Vec<TenantFunction>) -> Outcome {
        let tenant = Tenant {
            name: "acme".parse().unwrap(),
            provider: ProviderKind::M365,
            directory_id: "d".into(),
            authority: "https://login.example".into(),
            graph: "https://graph.example".into(),
            ca_pem: None,
            domains: vec![],
            functions,
            created: OffsetDateTime::UNIX_EPOCH,
        };
        let mut checks = Checks::default();
        checks.restorer(&tenant, Extras::default(), &[]);
        checks.all.remove(0).outcome
    }

    #[test]
    fn a_check_does_not_claim_to_have_tried_what_only_a_restore_can_do() {
        let named = TenantFunction {
            function: Function::Restorer,
            client_id: "app-id".into(),
            key_id: String::new(),
            thumbprint: String::new(),
        };
        let Outcome::Untried(text) = checked(vec![named]) else { panic!("it cannot be tried") };
        assert!(text.contains("app-id") && text.contains("not tried"), "{text}");
        assert!(
            restorer_rights(Extras::default()).iter().all(|right| text.contains(*right)),
            "{text}"
        );
        let Outcome::Missing(text) = checked(vec![]) else { panic!("it is not there") };
        assert!(
            restorer_rights(Extras::default()).iter().all(|right| text.contains(*right)),
            "{text}"
        );
        assert!(text.contains("tenant add acme --client-id restorer="), "{text}");
    }
}
