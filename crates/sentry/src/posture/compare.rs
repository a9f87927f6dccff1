//! The comparison itself.

use std::collections::BTreeSet;

use mailkeep_model::{Function, RegisteredKey, RegisteredObject, Registration};

use super::{
    Accepted, Deviation, DeviationKind, Expected, ExpectedApplication, ExpectedKey, Found,
    KeyPlace, Lock, Posture,
};

/// Holds what a tenant has against what is expected.
pub fn posture(expected: &Expected, found: &Found) -> Posture {
    let before = expected.accepted.clone().unwrap_or_default();
    // What is not seen this time stays as it was accepted.
    let (accepted, present) = (before.clone(), before.clone());
    let mut look = Look {
        expected,
        first: expected.accepted.is_none(),
        before,
        posture: Posture { accepted, present, ..Posture::default() },
    };
    for application in &expected.applications {
        let registered = found
            .registrations
            .iter()
            .find(|(client_id, _)| client_id.eq_ignore_ascii_case(&application.client_id));
        match registered.and_then(|(_, registration)| registration.as_ref()) {
            Some(registration) => look.at(application, registration, found),
            None => look.gone(application),
        }
    }
    let mut posture = look.posture;
    posture.deviations.sort_by_key(|one| one.kind);
    posture
}

struct Look<'a> {
    expected: &'a Expected,
    /// Whether nothing was accepted before: then what an administrator chose is.
    first: bool,
    before: Accepted,
    posture: Posture,
}

/// One of our applications, and what it is.
#[derive(Clone, Copy)]
struct Of<'a> {
    application: &'a ExpectedApplication,
    registration: &'a Registration,
}

impl Look<'_> {
    fn gone(&mut self, application: &ExpectedApplication) {
        let client_id = &application.client_id;
        self.posture.deviations.push(Deviation {
            kind: DeviationKind::ApplicationGone,
            client_id: client_id.clone(),
            function: application.function,
            subject: client_id.clone(),
            before: None,
            after: format!("there is no application {client_id}"),
            objects: Vec::new(),
        });
    }

    fn at(
        &mut self,
        application: &ExpectedApplication,
        registration: &Registration,
        found: &Found,
    ) {
        let of = Of { application, registration };
        self.credentials(of, &registration.application, "the application");
        self.owners(of, &registration.application, "the application");
        self.own_keys(of);
        for one in &registration.federated {
            let after = format!(
                "federated credential '{}' of issuer {}, subject {}",
                one.name, one.issuer, one.subject
            );
            self.deviates(of, DeviationKind::Federated, &one.id, None, after);
        }
        let Some(principal) = &registration.principal else {
            let after = "nothing can sign in as the application".to_owned();
            self.deviates(of, DeviationKind::PrincipalGone, "principal", None, after);
            return;
        };
        self.credentials(of, principal, "the service principal");
        self.owners(of, principal, "the service principal");
        if !registration.enabled && !application.is_being_switched {
            let after = "accountEnabled is false".to_owned();
            let before = Some("accountEnabled was true".to_owned());
            self.deviates(of, DeviationKind::Disabled, "enabled", before, after);
        }
        self.rights(of);
        if let Some(rules) = &found.rules {
            self.lock(of, Lock::of(&principal.id, rules));
        }
    }

    fn credentials(&mut self, of: Of<'_>, object: &RegisteredObject, on: &str) {
        for key in &object.keys {
            let name = key.name.as_deref().unwrap_or("without a name");
            let after = format!("certificate {} ('{name}') on {on}", key.key_id);
            let kind = match of.application.keys.iter().find(|ours| is(ours, key)) {
                None => DeviationKind::ForeignKey,
                Some(ours) => match ours.place {
                    KeyPlace::Registered | KeyPlace::Changing => {
                        self.known(&key.key_id);
                        continue;
                    }
                    // A restore may have come and gone since the last look; nothing else does.
                    KeyPlace::Destroyed
                        if self.first
                            || of.application.function == Function::Restorer
                            || self.before.keys.contains(&key.key_id) =>
                    {
                        self.known(&key.key_id);
                        DeviationKind::StaleKey
                    }
                    KeyPlace::Destroyed | KeyPlace::Removed => DeviationKind::KeyIsBack,
                },
            };
            self.deviates(of, kind, &key.key_id, None, after);
        }
        for password in &object.passwords {
            let name = password.name.as_deref().unwrap_or("without a name");
            let after = format!("password {} ('{name}') on {on}", password.key_id);
            self.deviates(of, DeviationKind::Password, &password.key_id, None, after);
        }
    }

    fn known(&mut self, key_id: &str) {
        self.posture.accepted.keys.insert(key_id.to_owned());
        self.posture.present.keys.insert(key_id.to_owned());
    }

    fn own_keys(&mut self, of: Of<'_>) {
        let there = &of.registration.application.keys;
        let has_to_be = |key: &&ExpectedKey| key.place == KeyPlace::Registered;
        for ours in of.application.keys.iter().filter(has_to_be) {
            if !there.iter().any(|key| is(ours, key)) {
                let after = format!("key {} is not on the application", ours.key_id);
                self.deviates(of, DeviationKind::OwnKeyGone, &ours.key_id, None, after);
            }
        }
    }

    fn owners(&mut self, of: Of<'_>, object: &RegisteredObject, on: &str) {
        let now: BTreeSet<String> = object.owners.iter().cloned().collect();
        let before = self.before.owners.get(&object.id).cloned();
        // An application that nobody has looked at is accepted as it is. An object that was made anew for
        // one that somebody did, is not.
        let known = self.before.rights.contains_key(&of.application.client_id);
        let before = before.unwrap_or_else(|| if known { BTreeSet::new() } else { now.clone() });
        for owner in now.difference(&before) {
            let after = format!("{owner} owns {on}");
            let names = Some(list(&before));
            self.deviates(of, DeviationKind::OwnerAdded, owner, names, after);
        }
        for owner in before.difference(&now) {
            let after = format!("{owner} does not own {on}");
            let names = Some(list(&before));
            self.deviates(of, DeviationKind::OwnerRemoved, owner, names, after);
        }
        self.posture.accepted.owners.insert(object.id.clone(), before);
        self.posture.present.owners.insert(object.id.clone(), now);
    }

    fn rights(&mut self, of: Of<'_>) {
        let client_id = &of.application.client_id;
        let now: BTreeSet<String> = of.registration.granted.iter().cloned().collect();
        let needed: BTreeSet<String> = of.application.rights.iter().cloned().collect();
        let before = self.before.rights.get(client_id).cloned().unwrap_or_default();
        let tolerated = &of.application.tolerated;
        let too_much = |right: &&String| !before.contains(*right) && !tolerated.contains(*right);
        for right in now.difference(&needed).filter(too_much) {
            let after = format!("{right} was granted");
            self.deviates(of, DeviationKind::RightTooMuch, right, Some(list(&before)), after);
        }
        for right in before.difference(&now).filter(|right| needed.contains(*right)) {
            let after = format!("{right} is not granted");
            self.deviates(of, DeviationKind::RightLost, right, Some(list(&before)), after);
        }
        // What it needs is accepted as soon as it is there; what it does not, when somebody says so.
        let mut accepted = before;
        accepted.retain(|right| needed.contains(right) || now.contains(right));
        accepted.extend(now.intersection(&needed).cloned());
        self.posture.accepted.rights.insert(client_id.clone(), accepted);
        self.posture.present.rights.insert(client_id.clone(), now);
    }

    fn lock(&mut self, of: Of<'_>, now: Lock) {
        let client_id = &of.application.client_id;
        let mut accepted = now.clone();
        match self.before.locks.get(client_id).cloned() {
            Some(before) if before.is_weaker_in(&now) => {
                let text = Some(before.text());
                self.deviates(of, DeviationKind::Unlocked, "addresses", text, now.text());
                accepted = before;
            }
            _ => {
                let ours = self.expected.egress.iter().map(ToString::to_string);
                let ours = Lock::Locked { ranges: ours.collect(), policies: BTreeSet::new() };
                let wide = match &now {
                    Lock::Locked { .. } => {
                        !self.expected.egress.is_empty() && ours.is_weaker_in(&now)
                    }
                    _ => true,
                };
                if wide {
                    let after = now.text();
                    self.deviates(of, DeviationKind::NeverLocked, "addresses", None, after);
                }
            }
        }
        self.posture.accepted.locks.insert(client_id.clone(), accepted);
        self.posture.present.locks.insert(client_id.clone(), now);
    }

    fn deviates(
        &mut self,
        of: Of<'_>,
        kind: DeviationKind,
        subject: &str,
        before: Option<String>,
        after: String,
    ) {
        let Of { application, registration } = of;
        let principal = registration.principal.iter().map(|object| object.id.clone());
        self.posture.deviations.push(Deviation {
            kind,
            client_id: application.client_id.clone(),
            function: application.function,
            subject: subject.to_owned(),
            before: before.filter(|_| !self.first),
            after,
            objects: [registration.application.id.clone()].into_iter().chain(principal).collect(),
        });
    }
}

fn is(ours: &ExpectedKey, key: &RegisteredKey) -> bool {
    let names = [Some(&key.key_id), key.thumbprint.as_ref(), key.identifier.as_ref()];
    // Whoever adds a certificate chooses its id and identifier himself; its thumbprint he does not.
    let names: Vec<&String> = match &key.thumbprint {
        Some(thumbprint) => vec![thumbprint],
        None => names.into_iter().flatten().collect(),
    };
    names.iter().any(|name| ours.known_as.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

fn list(all: &BTreeSet<String>) -> String {
    match all.is_empty() {
        true => "none".to_owned(),
        false => all.iter().cloned().collect::<Vec<_>>().join(", "),
    }
}
