//! Which mailboxes a function reaches, and which it should.

use std::{collections::HashSet, future::Future};

use futures::{StreamExt, stream};
use mailkeep_exchange::{ExchangeError, GraphProvider, Provider};
use mailkeep_model::{Directory, Function, Mailbox, MailboxId, MailboxSelection};

use super::{Checks, Outcome, Scene};
use crate::{ErrorKind, Service, ServiceError};

/// Mailboxes that are tried of those that a function should reach.
const MOST_INSIDE: usize = 50;
/// Of those that it should not.
const MOST_OUTSIDE: usize = 20;
/// Mailboxes that are tried at once.
const AT_ONCE: usize = 4;
/// Mailboxes that are named.
const NAMED: usize = 5;

/// What trying some mailboxes came to.
#[derive(Default)]
struct Tried<'a> {
    reached: Vec<&'a Mailbox>,
    refused: Vec<&'a Mailbox>,
    /// Neither: gone, or the provider failed.
    unclear: usize,
}

impl Service {
    /// Finds out which mailboxes there are and, with the auditor's key, what was granted. That nobody may
    /// tell is found by the checks of these two.
    pub(super) async fn list(
        &self,
        scene: &mut Scene,
        checks: &mut Checks,
    ) -> Result<(), ServiceError> {
        let name = scene.tenant.name.clone();
        if let Ok((auditor, _)) = &scene.auditor {
            let ids: Vec<String> =
                scene.tenant.functions.iter().map(|known| known.client_id.clone()).collect();
            for (id, found) in auditor.registrations(&ids).await.unwrap_or_default() {
                scene.grants.0.extend(found.map(|found| (id, found.granted)));
            }
        }
        let mut directory = Directory::default();
        if let Ok((reader, _)) = &scene.reader
            && let Ok(found) = reader.discover(&MailboxSelection::default(), &mut directory).await
        {
            scene.everybody = found.mailboxes;
        }
        if let Some(group) = scene.asked.confined_to.clone() {
            match self.members(scene, group, &mut directory).await {
                Ok(members) => scene.confined = Some(members),
                Err(error) if error.kind() == ErrorKind::Refused => {
                    let text = format!(
                        "whether it holds was not tried, because nobody may read who is in the group ({error})"
                    );
                    checks.untried("scope", text);
                }
                Err(error) => checks.bad("scope", &error),
            }
        }
        if scene.everybody.is_empty() {
            let known = self.control.mailboxes(&name).await?;
            scene.everybody = known.into_iter().map(|known| known.mailbox).collect();
        }
        Ok(())
    }

    /// Whose mailboxes are in a group: as the reader may read it, or else the auditor.
    async fn members(
        &self,
        scene: &Scene,
        group: String,
        directory: &mut Directory,
    ) -> Result<Vec<Mailbox>, ServiceError> {
        let members = MailboxSelection { groups: vec![group], ..MailboxSelection::default() };
        if let Ok((reader, _)) = &scene.reader
            && let Ok(found) = reader.discover(&members, directory).await
        {
            return Ok(found.mailboxes);
        }
        let job = self.new_job();
        let auditor =
            self.provider_for(&scene.tenant, Function::Auditor, self.extras, &job).await?;
        Ok(auditor.discover(&members, directory).await?.mailboxes)
    }
}

impl Scene {
    /// Whom a function should reach, and whom not.
    pub(super) fn sides(&self, function: Function) -> (Vec<&Mailbox>, Vec<&Mailbox>) {
        if function == Function::Prober {
            let may = |one: &&Mailbox| self.asked.send_from.contains(&one.address);
            return self.everybody.iter().partition(may);
        }
        let Some(confined) =
            self.confined.as_ref().filter(|_| self.asked.scope(function).is_some())
        else {
            return (self.everybody.iter().collect(), Vec::new());
        };
        let inside: HashSet<&MailboxId> = confined.iter().map(|one| &one.id).collect();
        self.everybody.iter().partition(|one| inside.contains(&one.id))
    }
}

impl Checks {
    /// Tries whether a function reaches those that it should, and no others.
    pub(super) async fn reach<'a, F>(
        &mut self,
        right: &str,
        (inside, outside): (&[&'a Mailbox], &[&'a Mailbox]),
        reach: impl Fn(&'a Mailbox) -> F,
    ) where
        F: Future<Output = Result<(), ExchangeError>>,
    {
        let within = tried(&inside[..inside.len().min(MOST_INSIDE)], &reach).await;
        let beyond = tried(&outside[..outside.len().min(MOST_OUTSIDE)], &reach).await;
        if !beyond.reached.is_empty() {
            let text = format!(
                "{right} reaches mailboxes outside of the scope: {}. Look for a grant in Entra ID and for other roles in Exchange (exchange-roles.ps1 takes those away); what was taken away works for up to two hours",
                named(&beyond.reached)
            );
            self.say("scope", Outcome::Excess(text));
        }
        if !within.refused.is_empty() {
            let text = format!(
                "{right} is refused in {} of {} mailboxes that it should reach: {}. Exchange counts direct members of a group only, and takes up to two hours to learn of a change",
                within.refused.len(),
                within.refused.len() + within.reached.len(),
                named(&within.refused)
            );
            self.say("scope", Outcome::Partly(text));
        }
        if beyond.reached.is_empty() && within.refused.is_empty() {
            let unclear = match within.unclear + beyond.unclear {
                0 => String::new(),
                count => format!("; {count} did not answer"),
            };
            let refused = match outside.len() {
                0 => String::new(),
                all => format!(
                    "; {} of {all} outside of the scope tried, all refused",
                    beyond.refused.len()
                ),
            };
            self.good(
                "scope",
                format!(
                    "{} of {} mailboxes tried, all reached{refused}{unclear}",
                    within.reached.len(),
                    inside.len()
                ),
            );
        }
    }
}

/// Reads something small of a mailbox.
pub(super) async fn read(provider: &GraphProvider, mailbox: &Mailbox) -> Result<(), ExchangeError> {
    provider.try_reading(mailbox).await
}

async fn tried<'a, F>(mailboxes: &[&'a Mailbox], reach: impl Fn(&'a Mailbox) -> F) -> Tried<'a>
where
    F: Future<Output = Result<(), ExchangeError>>,
{
    let tries = mailboxes.iter().map(|one| {
        let asked = reach(one);
        async move { (*one, asked.await) }
    });
    let answers: Vec<_> = stream::iter(tries).buffered(AT_ONCE).collect().await;
    let mut tried = Tried::default();
    for (mailbox, answer) in answers {
        match answer {
            Ok(()) => tried.reached.push(mailbox),
            Err(ExchangeError::Forbidden { .. }) => tried.refused.push(mailbox),
            Err(_) => tried.unclear += 1,
        }
    }
    tried
}

/// Some addresses, for people.
pub(super) fn named(mailboxes: &[&Mailbox]) -> String {
    let names: Vec<&str> = mailboxes.iter().take(NAMED).map(|one| one.address.as_str()).collect();
    match mailboxes.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
