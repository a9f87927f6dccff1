use mailkeep_exchange::{ExchangeError, Extras, GraphProvider, Provider};
use mailkeep_model::{
    Change, Directory, FolderKind, Function, ItemId, Mailbox, MailboxSelection, TenantName,
};

use super::{Checks, Outcome, Scene, reach};
use crate::{Service, ServiceError};

/// What is tried of each kind beside mail, and the right that it takes.
const TRIED: [(&str, FolderKind); 5] = [
    ("Calendars.Read", FolderKind::Calendar),
    ("Contacts.Read", FolderKind::Contacts),
    ("MailboxSettings.Read", FolderKind::Settings),
    ("Tasks.Read.All", FolderKind::Tasks),
    ("MailboxFolder.Read.All", FolderKind::Opaque),
];
/// Mailboxes that are named when several cannot be asked what they are for.
const UNCLEAR: usize = 5;

impl Service {
    /// Everything that a backup needs.
    pub(super) async fn check_reader(&self, scene: &Scene, checks: &mut Checks) {
        checks.function = Some(Function::Reader);
        // Without a token there is no right to try.
        let Some(provider) = checks.opened(scene, Function::Reader, &scene.reader) else { return };
        let name = &scene.tenant.name;
        let stored = async {
            Ok((self.control.selection(name).await?, self.control.directory(name).await?))
        };
        match stored.await {
            Ok((selection, mut directory)) => {
                let about = (scene, &selection);
                checks.rights(about, provider, self.extras, &mut directory).await;
            }
            Err(error) => checks.bad("state", &error),
        }
    }
}

impl Checks {
    /// Tries each right where it is used.
    async fn rights(
        &mut self,
        (scene, selection): (&Scene, &MailboxSelection),
        provider: &GraphProvider,
        extras: Extras,
        directory: &mut Directory,
    ) {
        let tenant: &TenantName = &scene.tenant.name;
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
        let (inside, outside) = scene.sides(Function::Reader);
        let is_inside = |one: &Mailbox| inside.iter().any(|inside| inside.id == one.id);
        let Some(mailbox) =
            mailboxes.iter().find(|one| is_inside(one)).or_else(|| mailboxes.first())
        else {
            let reason = "the directory lists no mailbox".to_owned();
            return self
                .bad("Mail.Read", &ServiceError::Refused { tenant: tenant.clone(), reason });
        };
        let can_be_read = || format!("{} can be read", mailbox.address);
        let read = provider.folder_changes(mailbox, None).await;
        let reads = read.is_ok();
        self.used("Mail.Read", read.map(|_| can_be_read()));
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
                Ok(()) => self.good(right, can_be_read()),
                Err(error @ ExchangeError::NotFound { .. }) => {
                    self.warning(right, error.to_string());
                }
                Err(error) => self.bad(right, &error.into()),
            }
        }
        if extras.streams {
            self.stream(provider, mailbox).await;
        }
        if reads {
            self.reader_reach(provider, &mailboxes, &outside, is_inside).await;
        }
    }

    /// Whether all that is backed up can be read, and what is not to be read cannot.
    async fn reader_reach(
        &mut self,
        provider: &GraphProvider,
        selected: &[Mailbox],
        outside: &[&Mailbox],
        is_inside: impl Fn(&Mailbox) -> bool,
    ) {
        let (inside, left_out): (Vec<&Mailbox>, Vec<&Mailbox>) =
            selected.iter().partition(|one| outside.is_empty() || is_inside(one));
        if !left_out.is_empty() {
            let text = format!(
                "to be backed up, but not in the group that the reader is confined to: {}. Add them to it, or leave them out ('mailkeep tenant mailboxes')",
                reach::named(&left_out)
            );
            self.say("scope", Outcome::Partly(text));
        }
        self.reach("Mail.Read", (&inside, outside), |one| reach::read(provider, one)).await;
    }

    /// Tries to read one stream, of the first message that there is.
    async fn stream(&mut self, provider: &GraphProvider, mailbox: &Mailbox) {
        let right = "MailboxItem.Export.All";
        match first_message(provider, mailbox).await {
            Ok(None) => {
                let text = format!("{} has no message to try it with", mailbox.address);
                self.untried(right, text);
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
