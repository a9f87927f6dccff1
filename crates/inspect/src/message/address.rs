//! The addresses of `From` and `Reply-To`, as a mail client shows them.

use std::ops::Range;

use crate::hosts::Host;

/// One address of a message's headers. Places are bytes of its field.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// The field's index in the view.
    pub(crate) field: usize,
    /// The name that is shown, without quotation marks; may be empty.
    pub(crate) name: Range<usize>,
    /// `local@domain`, as written.
    pub(crate) address: Range<usize>,
    /// The host behind the `@`; `None` when there is none that reads as one.
    pub(crate) host: Option<Host>,
}

impl Address {
    /// Reads the decoded value of a header. Lenient, because what deceives people is what they are
    /// shown: the last `<…>` is the address, all in front of it the name; without one the word with
    /// an `@` is the address.
    pub(super) fn read(text: &str, field: usize) -> Option<Self> {
        let (name, address) = match (text.rfind('<'), text.rfind('>')) {
            (Some(open), Some(close)) if open < close => (0..open, open + 1..close),
            (Some(open), None) => (0..open, open + 1..text.len()),
            _ => {
                let at = text.find('@')?;
                let is_border = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '(');
                let start = text[..at].rfind(is_border).map_or(0, |start| {
                    start + text[start..].chars().next().map_or(1, char::len_utf8)
                });
                let end = text[at..].find(is_border).map_or(text.len(), |end| at + end);
                (0..start, start..end)
            }
        };
        let address =
            trim(text, address, |c| c.is_whitespace() || matches!(c, '<' | '>' | '\'' | '"'));
        let name = trim(text, name, |c| {
            c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | ',' | ';')
        });
        let domain = text[address.clone()].rsplit_once('@').map(|(_, domain)| domain);
        let host =
            domain.and_then(|domain| Host::of_text(domain.trim_matches(['.', '>', ' ', '"'])));
        (!name.is_empty() || !address.is_empty()).then_some(Self { field, name, address, host })
    }
}

fn trim(text: &str, range: Range<usize>, unwanted: impl Fn(char) -> bool + Copy) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start_matches(unwanted).len());
    start..start + piece.trim_matches(unwanted).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, String, Option<String>) {
        let read = Address::read(text, 0).unwrap();
        let host = read.host.map(|host| host.text());
        (text[read.name].to_owned(), text[read.address].to_owned(), host)
    }

    #[test]
    fn what_people_are_shown_is_told_from_where_it_comes_from() {
        for (text, name, address, host) in [
            ("Ann <ann@a.example.com>", "Ann", "ann@a.example.com", Some("a.example.com")),
            (
                "\"Ann <ann@corp.example>\" <x@b.example>",
                "Ann <ann@corp.example>",
                "x@b.example",
                Some("b.example"),
            ),
            ("ann@a.example (Ann)", "", "ann@a.example", Some("a.example")),
            ("\"Ann, Corp\",<ann@a.example>", "Ann, Corp", "ann@a.example", Some("a.example")),
            ("<ann@a.example", "", "ann@a.example", Some("a.example")),
            ("Ann <undisclosed>", "Ann", "undisclosed", None),
        ] {
            assert_eq!(
                read(text),
                (name.into(), address.into(), host.map(str::to_owned)),
                "{text}"
            );
        }
        assert!(Address::read("nobody", 0).is_none());
        assert!(Address::read("", 0).is_none());
    }
}
