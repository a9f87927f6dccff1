//! What a message says and where it leads, read once for all detectors.

use std::{ops::Range, sync::LazyLock};

use memchr::memmem;

use crate::{
    brands::{BRANDS, Brand, ROLES},
    hosts::Host,
    links::{
        Target,
        places::{self, Place},
    },
    message::{Address, Field, MessageView},
    starts::{Starts, words},
    wording::{self, Folded, Phrase},
};

/// A link that a person can follow.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The field's index in the view.
    pub(crate) field: usize,
    /// Bytes of the field's source.
    pub(crate) place: Range<usize>,
    pub(crate) target: Target,
    /// The address that it carries along for another host.
    pub(crate) carried: Option<Target>,
    /// The address as it is written.
    pub(crate) href: String,
    /// What is shown of it is a picture.
    pub(crate) image: bool,
    /// It is in a QR code.
    pub(crate) code: bool,
    /// The kind of place it ends at, when it is one that anybody can have.
    pub(crate) kind: Option<Place>,
    /// Nearly every mail links there.
    common: bool,
    /// Its end is the sender's.
    home: bool,
}

impl Followed {
    /// Where it leads in the end, as far as the link tells.
    pub(crate) fn end(&self) -> &Target {
        self.carried.as_ref().unwrap_or(&self.target)
    }
}

/// A name of [`BRANDS`] that a message uses.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) brand: &'static Brand,
    /// As it stands in the table.
    pub(crate) name: &'static str,
    pub(crate) field: usize,
    /// Bytes of the field's readable text.
    pub(crate) place: Range<usize>,
    pub(crate) by: By,
}

/// How a name is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum By {
    /// Somewhere in the text.
    Body,
    /// In the subject.
    Subject,
    /// The sender's name has it among other words.
    SenderPart,
    /// The sender's name is it.
    Sender,
}

/// What detectors ask a message.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) links: Vec<Followed>,
    pub(crate) phrases: Vec<Phrase>,
    pub(crate) claims: Vec<Claim>,
    /// The folded text of each field.
    pub(crate) folded: Vec<Folded>,
    /// A text was longer, or had more addresses, than what is looked at.
    pub(crate) cut: bool,
    /// Owners of hosts that links lead to, those left out to which nearly every mail links. A
    /// digest has many; what wants one thing leads to few.
    pub(crate) owners: usize,
}

/// Owners of hosts from which on a message is a digest.
pub(crate) const DIGEST: usize = 10;

impl Facts {
    pub(crate) fn of(view: &MessageView) -> Self {
        let mut facts = Self {
            links: Vec::new(),
            phrases: Vec::new(),
            claims: Vec::new(),
            folded: Vec::with_capacity(view.fields.len()),
            cut: false,
            owners: 0,
        };
        for (index, field) in view.fields.iter().enumerate() {
            // Of an address only the name is wording.
            let addresses = [&view.from, &view.reply_to];
            let address = addresses.into_iter().flatten().find(|address| address.field == index);
            let (text, shift) = match address {
                Some(address) => {
                    let name = address.name.clone();
                    (wording::fold(&field.source[name.clone()], &[]), name.start)
                }
                None => (wording::fold(field.readable(), field.hidden()), 0),
            };
            facts.cut |= text.cut;
            let known = facts.phrases.len();
            wording::phrases(&text, index, &mut facts.phrases);
            for phrase in &mut facts.phrases[known..] {
                phrase.place.start += shift;
                phrase.place.end += shift;
            }
            facts.claims(&text, index, shift, view);
            facts.folded.push(text);
            facts.links_of(field, index);
        }
        let sender: Option<&Host> = view.from.as_ref().and_then(|from| from.host.as_ref());
        for link in &mut facts.links {
            link.home = sender.is_some_and(|sender| sender.same_owner(&link.end().host));
        }
        let owners: std::collections::BTreeSet<String> = facts
            .links
            .iter()
            .filter(|link| !link.common)
            .map(|link| &link.end().host)
            .map(|host| host.as_name().map_or_else(|| host.text(), |n| n.registrable().to_owned()))
            .collect();
        facts.owners = owners.len();
        facts
    }

    fn links_of(&mut self, field: &Field, index: usize) {
        for link in field.links() {
            if let Some(target) = Target::resolve(&link.href, field.base()) {
                let place = link.href_place.clone();
                self.follow(index, place, target, link.href.clone(), link.image, false);
            }
        }
        if !field.is_html() {
            for (number, place) in addresses(&field.source).enumerate() {
                if number >= MOST_ADDRESSES || self.links.len() >= MOST_LINKS {
                    self.cut = true;
                    break;
                }
                let href = &field.source[place.clone()];
                if let Some(target) = Target::resolve(href, None) {
                    self.follow(index, place, target, href.to_owned(), false, is_code(field));
                }
            }
            // A code needs no scheme to be opened.
            let known = self.links.last().is_some_and(|link| link.field == index);
            if is_code(field)
                && !known
                && let Some(target) = Target::resolve(field.source.trim(), None)
            {
                let all = 0..field.source.len();
                self.follow(index, all, target, field.source.trim().to_owned(), false, true);
            }
        }
    }

    fn follow(
        &mut self,
        field: usize,
        place: Range<usize>,
        target: Target,
        href: String,
        image: bool,
        code: bool,
    ) {
        let (target, carried) = target.with_carried();
        let end = carried.as_ref().unwrap_or(&target);
        let kind = end.place();
        let common = places::is_commonplace(&end.host);
        self.links.push(Followed {
            field,
            place,
            target,
            carried,
            href,
            image,
            code,
            kind,
            common,
            home: false,
        });
    }

    fn claims(&mut self, text: &Folded, index: usize, shift: usize, view: &MessageView) {
        let is_sender = view.from.as_ref().is_some_and(|from| from.field == index);
        let is_subject = view.fields[index].name == "subject";
        let table = &*NAMES;
        let bytes = text.text.as_bytes();
        let (mut behind, mut hits) = (0, 0);
        for start in words(bytes) {
            if start < behind {
                continue;
            }
            let longest =
                table.starts.at(bytes, start).max_by_key(|hit| table.entries[*hit].1.len());
            let Some(hit) = longest else { continue };
            let (brand, name) = table.entries[hit];
            let end = start + name.len();
            (behind, hits) = (end, hits + 1);
            if hits > MOST_CLAIMS {
                break;
            }
            let letter =
                |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || !b.is_ascii());
            let (before, after) = (bytes[..start].last(), bytes.get(end));
            if letter(after) {
                continue;
            }
            // Part of an address: told by the link detectors.
            let before_that = start.checked_sub(2).and_then(|at| bytes.get(at));
            let in_address = matches!(after, Some(b'.')) && letter(bytes.get(end + 1))
                || matches!(before, Some(b'.' | b'@' | b'/')) && letter(before_that);
            if in_address {
                continue;
            }
            let by = if is_sender {
                let rest = text.text[..start].split_whitespace();
                let mut rest = rest.chain(text.text[end..].split_whitespace());
                let role = |word: &str| {
                    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
                    word.len() < 3
                        || word.bytes().all(|b| b.is_ascii_digit())
                        || ROLES.contains(&word)
                };
                if rest.all(role) { By::Sender } else { By::SenderPart }
            } else if is_subject {
                By::Subject
            } else {
                By::Body
            };
            // A word of every day is the firm's name only as the sender's.
            if !brand.plain && by != By::Sender {
                continue;
            }
            let known = self.claims.iter().any(|claim| claim.name == name && claim.by >= by);
            if !known {
                let place = text.place(start..end);
                let place = place.start + shift..place.end + shift;
                self.claims.push(Claim { brand, name, field: index, place, by });
            }
        }
    }
}

/// Whether a field is what a QR code holds.
fn is_code(field: &Field) -> bool {
    field.name.ends_with(".code")
}

/// Whether a field holds an address and not a text.
pub(crate) fn is_address(view: &MessageView, index: usize) -> bool {
    [&view.from, &view.reply_to].into_iter().flatten().any(|address| address.field == index)
}

/// Where the name of an address is, in bytes of its field.
pub(crate) fn name_place(address: &Address) -> Range<usize> {
    if address.name.is_empty() { address.address.clone() } else { address.name.clone() }
}

struct Names {
    starts: Starts,
    entries: Vec<(&'static Brand, &'static str)>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let entries: Vec<_> = BRANDS
        .iter()
        .flat_map(|brand| brand.names.iter().map(move |name| (brand, *name)))
        .collect();
    Names { starts: Starts::of(entries.iter().map(|(_, name)| *name)), entries }
});

/// Names in one field that are looked at.
const MOST_CLAIMS: usize = 500;
/// Links of one message that are resolved; those of HTML have a limit of their own.
const MOST_LINKS: usize = 10_000;
/// Addresses in one plain text.
const MOST_ADDRESSES: usize = 1_000;
/// Bytes of one.
const LONGEST_ADDRESS: usize = 2_048;

/// The addresses in plain text that mail clients make clickable.
fn addresses(text: &str) -> impl Iterator<Item = Range<usize>> {
    let finder = memmem::Finder::new(b"://");
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let colon = from + finder.find(text.as_bytes().get(from..)?)?;
            from = colon + 3;
            let letters = text.as_bytes()[..colon].iter().rev().take(5);
            let scheme = letters.take_while(|b| b.is_ascii_alphabetic()).count();
            let start = colon - scheme;
            if !matches!(scheme, 3..=5) || !text[start..].is_char_boundary(0) {
                continue;
            }
            let known = ["http", "https", "ftp"];
            if !known.iter().any(|known| text[start..colon].eq_ignore_ascii_case(known)) {
                continue;
            }
            let rest = &text[start..text.floor_char_boundary(start + LONGEST_ADDRESS)];
            let is_border = |c: char| {
                c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '|' | '\u{a0}')
            };
            let end = rest.find(is_border).unwrap_or(rest.len());
            let address =
                rest[..end].trim_end_matches(['.', ',', ')', ']', ';', ':', '!', '\'', '*']);
            from = start + end.max(scheme + 3);
            if address.len() > scheme + 3 {
                return Some(start..start + address.len());
            }
        }
    })
}

/// How a link's end stands to who sends the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whither {
    /// To the sender's own domain, or the organisation's.
    Home,
    /// Where nearly every mail links to.
    Common,
    /// A mailing service does not tell.
    Untold,
    /// To somebody else.
    Elsewhere,
}

/// Where a link leads, seen from the sender; `is_own` says that it ends inside the organisation.
pub(crate) fn whither(link: &Followed, is_own: bool) -> Whither {
    if is_own {
        Whither::Home
    } else if link.kind.is_some() {
        Whither::Elsewhere
    } else if link.home {
        Whither::Home
    } else if link.common {
        Whither::Common
    } else if link.end().service {
        Whither::Untold
    } else {
        Whither::Elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_text_end_where_a_client_ends_them() {
        let text =
            "See (https://a.example/x?y=1). Or <http://b.example>, ftp://c.example/! x://d http://";
        let found: Vec<&str> = addresses(text).map(|place| &text[place]).collect();
        assert_eq!(found, ["https://a.example/x?y=1", "http://b.example", "ftp://c.example/"]);
    }
}
