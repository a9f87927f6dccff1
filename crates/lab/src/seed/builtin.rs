//! The mail that the lab brings along: a handful of people in one organisation.

use std::sync::Arc;

use bytes::Bytes;

use super::builtin_text::{ATTACHMENTS, CARDS, HTML, LETTERS, LINKS, OUTGOING, PEOPLE, Template};
use super::generate::{self, Direction, Setting, party};
use super::{Rng, SeedFolder, events, people};
use crate::compose::{Attachment, Letter, Nature};
use crate::state::{Core, Flag, Importance, MailboxState, Party, SeedMessage};

/// Mailboxes of a tenant when nobody asks for another number.
pub(crate) const MAILBOXES: usize = 5;
/// Contacts of a mailbox.
const CONTACTS: usize = 6;
/// 2026-09-01T08:00:00Z: the first message; later ones follow at intervals of some hours.
const FIRST: i64 = 1_788_249_600;

/// Who a built-in mailbox belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) index: usize,
    pub(crate) domain: Arc<str>,
    /// How many people the organisation has.
    pub(crate) of: usize,
}

impl Person {
    pub(crate) fn local_part(&self) -> String {
        match PEOPLE.get(self.index) {
            Some(name) => name.to_lowercase().replace(' ', "."),
            None => format!("user{}", self.index + 1),
        }
    }

    pub(crate) fn display_name(&self) -> String {
        PEOPLE
            .get(self.index)
            .map_or_else(|| format!("User {}", self.index + 1), |name| (*name).to_owned())
    }

    fn party(&self) -> Party {
        party(&self.display_name(), &format!("{}@{}", self.local_part(), self.domain))
    }

    fn other(&self, step: usize) -> Self {
        let of = self.of.max(1);
        Self { index: (self.index + 1 + step % of.saturating_sub(1).max(1)) % of, ..self.clone() }
    }
}

/// The folders of one person, some forty messages in them.
pub(crate) fn folders(person: &Person) -> Vec<SeedFolder> {
    let mut desk = Desk { person, rng: Rng::new(person.index as u64), at: FIRST, made: 0 };
    let mut inbox: Vec<SeedMessage> =
        (0..14).map(|i| desk.letter(&LETTERS[i % LETTERS.len()])).collect();
    inbox.extend(HTML.iter().map(|template| desk.letter(template)));
    inbox.push(desk.with_attachment(&ATTACHMENTS[person.index % ATTACHMENTS.len()]));
    // Spread over the people, so that findings have more than one mailbox.
    inbox.push(desk.letter(&LINKS[person.index % LINKS.len()]));
    inbox.push(desk.letter(&CARDS[person.index % CARDS.len()]));
    for (number, message) in inbox.iter_mut().enumerate() {
        message.read = number % 3 != 0;
        if number % 7 == 2 {
            message.flag = Flag::Flagged;
        }
        if number % 5 == 1 {
            message.categories = vec!["Blue category".into()];
        }
        if number % 11 == 4 {
            message.flag = Flag::Complete;
            message.categories = vec!["Customers".into(), "Überfällig".into()];
        }
    }
    let sent = (0..9).map(|i| desk.sent(&OUTGOING[i % OUTGOING.len()])).collect();
    let projects = (0..4).map(|_| desk.generated(Direction::Internal)).collect();
    let harbour = (0..4).map(|_| desk.generated(Direction::Inbound)).collect();
    let deleted = (0..2).map(|_| desk.generated(Direction::Inbound)).collect();
    let mut draft = desk.sent(&OUTGOING[0]);
    draft.draft = true;
    let folder = |path: &[&str], messages| SeedFolder {
        path: path.iter().map(|name| (*name).to_owned()).collect(),
        messages,
    };
    vec![
        folder(&["Inbox"], inbox),
        folder(&["Sent Items"], sent),
        folder(&["Drafts"], vec![draft]),
        folder(&["Deleted Items"], deleted),
        folder(&["Projects"], projects),
        folder(&["Projects", "Harbour / Phase 2"], harbour),
        folder(&["To read"], Vec::new()),
    ]
}

/// The calendar and the contacts of one person.
pub(crate) fn fill(state: &mut MailboxState, person: &Person) {
    let owner = person.party();
    let colleagues: Vec<(Arc<str>, String)> = (0..person.of.saturating_sub(1).min(3))
        .map(|step| person.other(step).party())
        .map(|other| (Arc::from(&*other.address), other.name.as_deref().unwrap_or("").to_owned()))
        .collect();
    let setting = Setting {
        owner: &owner.address,
        owner_name: owner.name.as_deref().unwrap_or_default(),
        colleagues: &colleagues,
    };
    let first = crate::clock::from_unix(FIRST).date();
    events::everyday(state, &setting, first, FIRST);
    // Nothing was there that could refuse them.
    let _ = people::generate(state, &mut Rng::new(person.index as u64), CONTACTS, FIRST);
}

/// Writes one person's mail, one message after the other.
struct Desk<'a> {
    person: &'a Person,
    rng: Rng,
    at: i64,
    made: usize,
}

impl Desk<'_> {
    fn letter(&mut self, template: &Template) -> SeedMessage {
        let from = match template.from {
            Some((name, address)) => party(name, address),
            None => self.person.other(self.made).party(),
        };
        let to = self.person.party();
        self.write(template, from, to, Vec::new())
    }

    fn sent(&mut self, template: &Template) -> SeedMessage {
        let to = match template.from {
            Some((name, address)) => party(name, address),
            None => self.person.other(self.made).party(),
        };
        let from = self.person.party();
        self.write(template, from, to, Vec::new())
    }

    fn with_attachment(&mut self, template: &Template) -> SeedMessage {
        let rows: String = (1..40)
            .map(|row| format!("{row};item {row};{};EUR\r\n", self.rng.below(10_000)))
            .collect();
        let attachment = Attachment {
            name: "Bestand Überblick.csv".to_owned(),
            content_type: "text/csv".to_owned(),
            content_id: None,
            inline: false,
            bytes: Bytes::from(rows.into_bytes()),
            nature: Nature::File,
        };
        let from = self.person.other(self.made).party();
        let to = self.person.party();
        self.write(template, from, to, vec![attachment])
    }

    fn write(
        &mut self,
        template: &Template,
        from: Party,
        to: Party,
        attachments: Vec<Attachment>,
    ) -> SeedMessage {
        let date = self.tick();
        let name = to.name.as_deref().unwrap_or_default().to_owned();
        let domain = from.address.rsplit('@').next().unwrap_or_default().to_owned();
        let letter = Letter {
            message_id: format!("<{}.{}@{domain}>", self.person.local_part(), self.made),
            cc: if self.made % 6 == 5 {
                vec![self.person.other(self.made + 1).party()]
            } else {
                Vec::new()
            },
            from: Some(from),
            to: vec![to],
            subject: template.subject.to_owned(),
            date,
            importance: if self.made % 13 == 6 { Importance::High } else { Importance::Normal },
            html: template.html,
            body: template.body.replace("{name}", &name),
            attachments,
            ..Letter::default()
        };
        Core::parse(Bytes::from(letter.mime()), None).into()
    }

    fn generated(&mut self, direction: Direction) -> SeedMessage {
        let received = self.tick();
        let owner = self.person.party();
        let colleague = self.person.other(self.made).party();
        let setting = Setting {
            owner: &owner.address,
            owner_name: owner.name.as_deref().unwrap_or_default(),
            colleagues: &[(
                Arc::from(&*colleague.address),
                colleague.name.as_deref().unwrap_or_default().to_owned(),
            )],
        };
        let size = 700 + self.rng.below(3000);
        generate::message(&mut self.rng, &setting, direction, received, size)
    }

    fn tick(&mut self) -> i64 {
        self.made += 1;
        self.at += 3600 * (1 + self.rng.below(60) as i64) + self.rng.below(3600) as i64;
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_mailbox_shows_every_kind_of_mail() {
        let person = Person { index: 1, domain: "lab.example".into(), of: MAILBOXES };
        let made = folders(&person);
        let all: Vec<&SeedMessage> = made.iter().flat_map(|f| &f.messages).collect();
        assert!((35..=45).contains(&all.len()), "{}", all.len());
        assert!(made.iter().any(|f| f.messages.is_empty()));
        assert!(made.iter().any(|f| f.path.len() == 2));
        assert!(all.iter().any(|m| m.core.has_attachments));
        assert!(all.iter().any(|m| m.core.body().0 == "html"));
        assert!(all.iter().any(|m| !m.categories.is_empty() && m.flag == Flag::Complete));
        assert!(all.iter().any(|m| m.draft) && all.iter().any(|m| !m.read));
        let again = folders(&person);
        let bytes = |f: &[SeedFolder]| -> Vec<Bytes> {
            f.iter().flat_map(|f| f.messages.iter().map(|m| m.core.content.bytes())).collect()
        };
        assert_eq!(bytes(&made), bytes(&again), "the same in every run");
    }
}
