use mailkeep_control::Tenant;
use mailkeep_exchange::{ExchangeError, Extras, GraphProvider, Provider};
use mailkeep_model::{
    Change, Directory, FolderKind, Function, ItemId, Mailbox, MailboxSelection, TenantName,
};
use time::{Duration, OffsetDateTime};

use crate::{ErrorKind, Service, ServiceError, reader_rights, restorer_rights};

/// Right to know who is in a group; only where the selection of mailboxes names one.
const READ_MEMBERS: &str = "GroupMember.Read.All";
/// Everything switched on.
const ALL: Extras = Extras { tasks: true, streams: true, archive: true, recoverable_items: true };
/// What is tried of each kind beside mail, and the right that it takes.
const TRIED: [(&str, FolderKind); 5] = [
    ("Calendars.Read", FolderKind::Calendar),
    ("Contacts.Read", FolderKind::Contacts),
    ("MailboxSettings.Read", FolderKind::Settings),
    ("Tasks.Read.All", FolderKind::Tasks),
    ("MailboxFolder.Read.All", FolderKind::Opaque),
];
/// Rights that show no more than those that the reader needs, or belong to its function.
const HARMLESS: [&str; 2] = ["Mail.ReadBasic.All", "Organization.Read.All"];
/// Mailboxes that are named when several cannot be asked what they are for.
const UNCLEAR: usize = 5;
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
        checks.restorer(&tenant, self.extras);
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
                checks.granted(granted.as_deref(), self.extras, &selection);
                checks.rights(name, &provider, self.extras, &selection, &mut directory).await;
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
    fn restorer(&mut self, tenant: &Tenant, extras: Extras) {
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
        self.0.push(Check { what: "restorer application".into(), outcome });
    }

    fn bad(&mut self, what: &str, error: &ServiceError) {
        let outcome = Outcome::Bad { kind: error.kind(), reason: error.to_string() };
        self.0.push(Check { what: what.into(), outcome });
    }

    /// There is a token: what is granted beyond the function?
    fn granted(
        &mut self,
        granted: Option<&[String]>,
        extras: Extras,
        selection: &MailboxSelection,
    ) {
        self.good("token", format!("Entra ID accepts the {} key", Function::Reader));
        // Graph's tokens are opaque by contract; where the rights can be read, they are compared.
        let Some(granted) = granted else { return };
        let needed = reader_rights(extras);
        let everything = reader_rights(ALL);
        let not_needed = granted.iter().map(String::as_str);
        let not_needed = not_needed.filter(|right| !needed.contains(right));
        let (unused, excess): (Vec<_>, Vec<_>) = not_needed
            .filter(|right| !HARMLESS.contains(right))
            .filter(|right| *right != READ_MEMBERS || selection.groups.is_empty())
            .partition(|right| everything.contains(right));
        if !unused.is_empty() {
            let text = format!(
                "granted, but what they are for is switched off (config.toml, [backup]): switch it on, or take them away: {}",
                unused.join(", ")
            );
            self.warning("unused rights", text);
        }
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
        extras: Extras,
        selection: &MailboxSelection,
        directory: &mut Directory,
    ) {
        match provider.domains().await {
            Ok(domains) => self.good("domains", domains.join(", ")),
            Err(error) => self.bad("domains", &error.into()),
        }
        let everybody = MailboxSelection::default();
        let mut mailboxes = match provider.discover(&everybody, directory).await {
            Ok(selected) => selected.mailboxes,
            Err(error) => return self.bad("User.Read.All", &error.into()),
        };
        let all = mailboxes.len();
        self.good("User.Read.All", format!("{all} mailboxes"));
        if !selection.is_all() {
            match provider.discover(selection, directory).await {
                Ok(selected) => {
                    mailboxes = selected.mailboxes;
                    for (_, error) in selected.unclear.iter().take(UNCLEAR) {
                        self.warning("selection of mailboxes", error.to_string());
                    }
                }
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
        for (right, kind) in TRIED {
            // Of each kind that is read.
            if !provider.kinds().contains(&kind) {
                continue;
            }
            let listed = match provider.other_folders(mailbox, kind).await {
                // For some it is our own list, and shows in what lies in it.
                Ok(folders) => match folders.first() {
                    Some(folder) if kind == FolderKind::Settings => {
                        provider.item_changes(mailbox, folder, None).await.map(drop)
                    }
                    _ => Ok(()),
                },
                Err(error) => Err(error),
            };
            match listed {
                Ok(()) => self.good(right, format!("{} can be read", mailbox.address)),
                Err(error @ ExchangeError::NotFound { .. }) => {
                    self.warning(right, error.to_string());
                }
                Err(error) => self.bad(right, &error.into()),
            }
        }
        if extras.streams {
            self.stream(provider, mailbox).await;
        }
    }

    /// Tries to read one stream, of the first message that there is.
    async fn stream(&mut self, provider: &GraphProvider, mailbox: &Mailbox) {
        let right = "MailboxItem.Export.All";
        match first_message(provider, mailbox).await {
            Ok(None) => {
                let text = format!("{} has no message to try it with", mailbox.address);
                self.0.push(Check { what: right.into(), outcome: Outcome::Untried(text) });
            }
            Ok(Some(message)) => match provider.stream(mailbox, &message).await {
                Ok(_) => self.good(right, format!("streams of {} can be read", mailbox.address)),
                Err(error @ ExchangeError::NotFound { .. }) => {
                    self.warning(right, error.to_string());
                }
                Err(error) => self.bad(right, &error.into()),
            },
            // Told already, where the mail is read.
            Err(_) => {}
        }
    }
}

/// The first message of the first folders that has one.
async fn first_message<P: Provider>(
    provider: &P,
    mailbox: &Mailbox,
) -> Result<Option<ItemId>, ExchangeError> {
    let folders = provider.folder_changes(mailbox, None).await?.changes;
    let counts = provider.item_counts(mailbox).await?;
    for change in folders {
        let Change::Upsert(folder) = change else { continue };
        if counts.get(&folder.id).copied().unwrap_or_default() == 0 {
            continue;
        }
        for change in provider.item_changes(mailbox, &folder, None).await?.changes {
            if let Change::Upsert(item) = change {
                return Ok(Some(item.id));
            }
        }
    }
    Ok(None)
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
        checks.restorer(&tenant, Extras::default());
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
