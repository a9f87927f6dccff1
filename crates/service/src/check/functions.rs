//! The functions beside the reader.

use mailkeep_exchange::{Extras, Registrar};
use mailkeep_model::{Function, Mailbox};
use time::{Duration, OffsetDateTime};

use super::{Checks, Outcome, Scene, reach};
use crate::Service;

/// How far back logs are read for a trial.
const RECENTLY: Duration = Duration::minutes(5);

impl Service {
    pub(super) async fn check_responder(&self, scene: &Scene, checks: &mut Checks) {
        let function = Function::Responder;
        let opened = self.open_for(&scene.tenant, function).await;
        let Some(provider) = checks.opened(scene, function, &opened) else { return };
        let (inside, outside) = scene.sides(function);
        let Some(mailbox) = a_mailbox(&inside, "Mail.ReadWrite", checks) else { return };
        let written = provider.try_writing(mailbox).await;
        let works = written.is_ok();
        let detail = format!("a draft was made in {} and deleted for good", mailbox.address);
        checks.used("Mail.ReadWrite", written.map(|()| detail));
        if works && !outside.is_empty() {
            let sides = (&inside[..], &outside[..]);
            checks.reach("Mail.ReadWrite", sides, |one| reach::read(provider, one)).await;
        }
    }

    /// While a restore runs; otherwise there is no key.
    pub(super) async fn check_restorer(&self, scene: &Scene, checks: &mut Checks) {
        let function = Function::Restorer;
        if !scene.has_key(function) {
            return;
        }
        let opened = self.open_for(&scene.tenant, function).await;
        let Some(provider) = checks.opened(scene, function, &opened) else { return };
        let (inside, _) = scene.sides(function);
        let Some(mailbox) = a_mailbox(&inside, "Mail.ReadWrite", checks) else { return };
        let detail = format!("a draft was made in {} and deleted for good", mailbox.address);
        let written = provider.try_writing(mailbox).await.map(|()| detail);
        checks.used("Mail.ReadWrite", written);
        checks.untried(
            "the restorer's other rights",
            "not tried by use: that would change calendars, contacts, settings",
        );
    }

    pub(super) async fn check_prober(&self, scene: &Scene, checks: &mut Checks) {
        let (function, right) = (Function::Prober, "Mail.Send");
        let opened = self.open_for(&scene.tenant, function).await;
        let Some(provider) = checks.opened(scene, function, &opened) else { return };
        if scene.asked.send_from.is_empty() {
            let name = &scene.tenant.name;
            let text = format!(
                "may send in everybody's name; confine it to some mailboxes: 'mailkeep tenant setup {name} --function prober --send-from ADDRESS --out DIR'"
            );
            checks.say("scope", Outcome::Excess(text));
        }
        let (inside, outside) = scene.sides(function);
        // Nothing is sent: what is refused for its missing recipient would be sent with one.
        let first = match inside.first() {
            Some(first) => Some(*first),
            None if scene.asked.send_from.is_empty() => a_mailbox(&outside, right, checks),
            None => {
                let text = "none of the mailboxes that it sends from is in the directory";
                checks.say(right, Outcome::Partly(text.into()));
                None
            }
        };
        let Some(first) = first else { return };
        let sends = provider.try_sending(first).await;
        let works = sends.is_ok();
        let detail = format!(
            "{} may send: a message to nobody was refused for its missing recipient alone; none was sent, so that nobody knows whether one would arrive",
            first.address
        );
        checks.used(right, sends.map(|()| detail));
        if works && !inside.is_empty() {
            let sides = (&inside[..], &outside[..]);
            checks.reach(right, sides, |one| provider.try_sending(one)).await;
        }
    }

    pub(super) async fn check_auditor(&self, scene: &Scene, checks: &mut Checks) {
        let function = Function::Auditor;
        let Some(auditor) = checks.opened(scene, function, &scene.auditor) else { return };
        let now = OffsetDateTime::now_utc();
        let ids: Vec<String> =
            scene.tenant.functions.iter().map(|known| known.client_id.clone()).collect();
        let read = |what: &str, count: usize| format!("{what} can be read ({count} entries)");
        let sign_ins = auditor.sign_ins(now - RECENTLY, now, &ids).await;
        checks.used(
            "AuditLog.Read.All, Directory.Read.All",
            sign_ins.map(|found| read("the sign-in log", found.entries.len())),
        );
        let changes = auditor.directory_changes(now - RECENTLY, now).await;
        checks.used(
            "AuditLog.Read.All",
            changes.map(|found| read("the log of changes", found.entries.len())),
        );
        let registrations = auditor.registrations(&ids).await;
        let known = registrations.map(|found| {
            let known = found.iter().filter(|(_, registration)| registration.is_some()).count();
            read("registrations of ours", known)
        });
        checks.used("Application.Read.All", known);
        let policies = auditor.access_policies().await;
        checks.used(
            "Policy.Read.All",
            policies.map(|found| read("policies about applications", found.policies.len())),
        );
        let searched = auditor.try_searching(now).await;
        let detail = "a search for reads of mail was taken; its end was not waited for";
        checks.used("AuditLogsQuery-Exchange.Read.All", searched.map(|()| detail.to_owned()));
    }

    pub(super) async fn check_steward(&self, scene: &Scene, checks: &mut Checks) {
        let function = Function::Steward;
        if !scene.has_key(function) {
            return checks.is_away(function);
        }
        let connection =
            self.connection(&scene.tenant, function, Extras::default(), &self.new_job()).await;
        let registrar = connection.and_then(|(config, access)| Ok(Registrar::new(config, access)?));
        let registrar = match registrar {
            Ok(registrar) => registrar,
            Err(error) => return checks.bad("connection", &error),
        };
        let granted = match registrar.granted_rights().await {
            Ok(granted) => granted,
            // As it should be, but for an emergency.
            Err(error) if error.is_unknown_key() => return checks.is_away(function),
            Err(error) => return checks.bad("token", &error.into()),
        };
        checks.warning(
            "token",
            "Entra ID accepts the steward key: take its certificate away there when it is not needed any more",
        );
        checks.granted(scene, function, granted.as_deref());
        for known in &scene.tenant.functions {
            if known.function == function {
                continue;
            }
            let what = format!("owner of the {} application", known.function);
            match registrar.try_owning(&known.client_id).await {
                Ok(()) => {
                    checks.good(&what, "it may be changed: it was given the name that it has");
                }
                Err(error) => checks.bad(&what, &error.into()),
            }
        }
    }
}

/// Some mailbox to try a right in.
fn a_mailbox<'a>(
    mailboxes: &[&'a Mailbox],
    right: &str,
    checks: &mut Checks,
) -> Option<&'a Mailbox> {
    if mailboxes.is_empty() {
        checks.untried(right, "no mailbox is known to try it in");
    }
    mailboxes.first().copied()
}
