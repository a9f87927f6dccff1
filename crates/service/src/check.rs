use mailkeep_control::Tenant;
use mailkeep_exchange::{ExchangeError, GraphProvider, Provider};
use mailkeep_model::{Directory, FolderKind, Function, MailboxSelection, TenantName};
use time::{Duration, OffsetDateTime};

use crate::{ErrorKind, Service, ServiceError};

/// Rights that the reader needs for what this version does.
const NEEDED: [&str; 4] = ["Mail.Read", "Calendars.Read", "Contacts.Read", "User.Read.All"];
/// Right to know who is in a group; only where the selection of mailboxes names one.
const READ_MEMBERS: &str = "GroupMember.Read.All";
/// Rights that the restorer needs.
const RESTORER_NEEDS: [&str; 5] = [
    "Mail.ReadWrite",
    "Mail-Advanced.ReadWrite",
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "User.Read.All",
];
/// Rights that belong to the reader's function, but that this version does not use yet.
const HARMLESS: [&str; 7] = [
    "Mail.ReadBasic.All",
    "MailboxSettings.Read",
    "MailboxItem.Read.All",
    "MailboxFolder.Read.All",
    "MailboxConfigItem.Read",
    "Tasks.Read.All",
    "Organization.Read.All",
];
/// A certificate that ends within this time is worth a word.
const EXPIRES_SOON: Duration = Duration::days(10);

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub what: String,
    /// What was seen.
    pub outcome: Outcome,
}

/// What a check saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be, with a detail.
    Good(String),
    /// It works, but somebody should know.
    Warning(String),
    /// It is not set up; what cannot be done without it, and how to set it up.
    Missing(String),
    /// It cannot be looked at from here; why, and what it should be.
    Untried(String),
    /// It does not work; why, and what to do.
    Bad {
        /// What kind of failure.
        kind: ErrorKind,
        /// Why, and what to do.
        reason: String,
    },
}

impl Service {
    /// Looks at everything that a tenant's backup needs, right by right, and says what a restore
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
                return Ok(checks.0);
            }
        };
        checks.good("signer", "answers");
        checks.restorer(&tenant);
        for credential in signer.credentials(Some(name)).await? {
            let what = format!("{} key", credential.key_use.function);
            if credential.key_use.function == Function::Restorer {
                let text = "it exists: a restore runs now, or one was cut off; the next restore, or 'mailkeep serve', destroys one that was left";
                checks.warning(&what, text);
                continue;
            }
            let Some(certificate) = credential.certificate else {
                let reason = "the signer's file of this key is damaged; restore it from a backup of the signer's directory".to_owned();
                checks.0.push(Check {
                    what,
                    outcome: Outcome::Bad { kind: ErrorKind::Failed, reason },
                });
                continue;
            };
            let ends = certificate.not_after;
            let left = ends - OffsetDateTime::now_utc();
            let detail = format!("certificate valid until {}", ends.date());
            if left <= Duration::ZERO {
                let reason = format!(
                    "the certificate ended on {}; 'mailkeep tenant add {name} --client-id reader=ID', with the id as it is, makes a new one to be uploaded ('mailkeep tenant show {name} --json' prints it)",
                    ends.date()
                );
                checks.0.push(Check {
                    what,
                    outcome: Outcome::Bad { kind: ErrorKind::Refused, reason },
                });
            } else if left < EXPIRES_SOON {
                checks.warning(&what, detail);
            } else {
                checks.good(&what, detail);
            }
        }
        let job = self.new_job();
        let provider = match self.provider(&tenant, &job).await {
            Ok(provider) => provider,
            Err(error) => {
                checks.bad("connection", &error);
                return Ok(checks.0);
            }
        };
        // Without a token there is no right to try.
        match provider.granted_rights().await {
            Ok(granted) => {
                let selection = self.control.selection(name).await?;
                let mut directory = self.control.directory(name).await?;
                checks.granted(granted.as_deref(), &selection);
                checks.rights(name, &provider, &selection, &mut directory).await;
            }
            Err(error) => checks.bad("token", &error.into()),
        }
        Ok(checks.0)
    }
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn good(&mut self, what: &str, detail: impl Into<String>) {
        self.0.push(Check { what: what.into(), outcome: Outcome::Good(detail.into()) });
    }

    fn warning(&mut self, what: &str, detail: impl Into<String>) {
        self.0.push(Check { what: what.into(), outcome: Outcome::Warning(detail.into()) });
    }

    /// What there is to say of the application that restores. Its key exists only while a restore
    /// runs, so nothing can be asked in its name.
    fn restorer(&mut self, tenant: &Tenant) {
        let (name, rights) = (&tenant.name, RESTORER_NEEDS.join(", "));
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
        self.0.push(Check { what: "restorer application".into(), outcome });
    }

    fn bad(&mut self, what: &str, error: &ServiceError) {
        let outcome = Outcome::Bad { kind: error.kind(), reason: error.to_string() };
        self.0.push(Check { what: what.into(), outcome });
    }

    /// There is a token: what is granted beyond the function?
    fn granted(&mut self, granted: Option<&[String]>, selection: &MailboxSelection) {
        self.good("token", format!("Entra ID accepts the {} key", Function::Reader));
        // Graph's tokens are opaque by contract; where the rights can be read, they are compared.
        let Some(granted) = granted else { return };
        let excess: Vec<_> = granted
            .iter()
            .map(String::as_str)
            .filter(|right| !NEEDED.contains(right) && !HARMLESS.contains(right))
            .filter(|right| *right != READ_MEMBERS || selection.groups.is_empty())
            .collect();
        if excess.is_empty() {
            self.good("no excess rights", "nothing granted beyond the function");
        } else {
            let names = excess.join(", ");
            self.warning(
                "excess rights",
                format!("take away what the reader must not have: {names}"),
            );
        }
    }

    /// Tries each right where it is used.
    async fn rights(
        &mut self,
        tenant: &TenantName,
        provider: &GraphProvider,
        selection: &MailboxSelection,
        directory: &mut Directory,
    ) {
        match provider.domains().await {
            Ok(domains) => self.good("domains", domains.join(", ")),
            Err(error) => self.bad("domains", &error.into()),
        }
        let everybody = MailboxSelection::default();
        let mut mailboxes = match provider.discover(&everybody, directory).await {
            Ok(mailboxes) => mailboxes,
            Err(error) => return self.bad("User.Read.All", &error.into()),
        };
        let all = mailboxes.len();
        self.good("User.Read.All", format!("{all} mailboxes"));
        if !selection.is_all() {
            match provider.discover(selection, directory).await {
                Ok(selected) => mailboxes = selected,
                Err(error @ ExchangeError::Forbidden { right, .. }) => {
                    return self.bad(right, &error.into());
                }
                Err(error) => return self.bad("selection of mailboxes", &error.into()),
            }
            let detail = format!("{} of {all} mailboxes are backed up", mailboxes.len());
            if mailboxes.is_empty() {
                let hint = "'mailkeep tenant mailboxes' shows and changes which";
                return self.warning("selection of mailboxes", format!("{detail}; {hint}"));
            }
            self.good("selection of mailboxes", detail);
        }
        let Some(mailbox) = mailboxes.first() else {
            let reason = "the directory lists no mailbox".to_owned();
            return self
                .bad("Mail.Read", &ServiceError::Refused { tenant: tenant.clone(), reason });
        };
        match provider.folder_changes(mailbox, None).await {
            Ok(_) => self.good("Mail.Read", format!("{} can be read", mailbox.address)),
            Err(error @ ExchangeError::NotFound { .. }) => {
                self.warning("Mail.Read", error.to_string());
            }
            Err(error) => self.bad("Mail.Read", &error.into()),
        }
        for (right, kind) in
            [("Calendars.Read", FolderKind::Calendar), ("Contacts.Read", FolderKind::Contacts)]
        {
            match provider.other_folders(mailbox, kind).await {
                Ok(_) => self.good(right, format!("{} can be read", mailbox.address)),
                Err(error @ ExchangeError::NotFound { .. }) => {
                    self.warning(right, error.to_string());
                }
                Err(error) => self.bad(right, &error.into()),
            }
        }
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
        checks.restorer(&tenant);
        checks.0.remove(0).outcome
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
        assert!(RESTORER_NEEDS.iter().all(|right| text.contains(right)), "{text}");
        let Outcome::Missing(text) = checked(vec![]) else { panic!("it is not there") };
        assert!(RESTORER_NEEDS.iter().all(|right| text.contains(right)), "{text}");
        assert!(text.contains("tenant add acme --client-id restorer="), "{text}");
    }
}
