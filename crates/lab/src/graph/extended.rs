//! Extended properties in requests and answers, for messages, events and contacts alike:
//! `$filter`, `$expand`, the body of a request, and their ids
//! (<https://learn.microsoft.com/graph/api/singlevaluelegacyextendedproperty-get>).
//!
//! - [`Filter::parse`] reads `singleValueExtendedProperties/Any(ep: ep/id eq '…' and ep/value eq '…')`,
//!   and with `startswith(ep/value, '…')` or `contains(ep/value, '…')`.
//! - [`expanded`] reads one part of `$expand`:
//!   `singleValueExtendedProperties($filter=id eq '…' or id eq '…')`.
//! - [`given`] reads the `singleValueExtendedProperties` of a request's body.
//! - [`property_id`] normalises an id, so that equal properties have equal text.

use serde_json::{Map, Value, json};

use super::errors::GraphError;
use super::query::{split_top, split_words};
use crate::state::{ExtendedProperties, TooMuch};

/// The property of Graph's items that holds them.
pub(crate) const NAME: &str = "singleValueExtendedProperties";
/// Most extended properties that one request may ask for.
const MOST_EXPANDED: usize = 20;

/// A `$filter` by extended property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Normalised.
    pub(crate) id: String,
    pub(crate) test: Test,
}

/// What the property has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Equals(String),
    StartsWith(String),
    Contains(String),
    /// `ne null`
    Present,
}

impl Filter {
    /// `None` when the filter is of another kind; an error when it is of this kind and wrong.
    pub(crate) fn parse(filter: &str) -> Result<Option<Self>, GraphError> {
        let filter = filter.trim();
        let Some(rest) = after(filter, NAME) else { return Ok(None) };
        let refuse = || GraphError::bad_request(format!("Invalid filter clause: '{filter}'."));
        let inner = rest
            .strip_prefix('/')
            .and_then(|rest| after(rest, "any("))
            .and_then(|rest| rest.strip_suffix(')'))
            .ok_or_else(refuse)?;
        let (variable, inner) = inner.split_once(':').ok_or_else(refuse)?;
        let variable = variable.trim();
        let (mut id, mut test) = (None, None);
        for clause in split_words(inner.trim(), "and") {
            if let Some(called) = called(clause, variable) {
                if test.replace(called).is_some() {
                    return Err(refuse());
                }
                continue;
            }
            let words: Vec<&str> =
                split_top(clause, ' ').into_iter().filter(|w| !w.is_empty()).collect();
            let [property, operator, value] = words[..] else { return Err(refuse()) };
            let member = property
                .strip_prefix(variable)
                .and_then(|rest| rest.strip_prefix('/'))
                .ok_or_else(refuse)?;
            let equal = operator.eq_ignore_ascii_case("eq");
            match (member, equal, unquoted(value)) {
                ("id", true, Some(text)) if id.is_none() => id = Some(property_id(&text)?),
                ("value", true, Some(text)) if test.is_none() => test = Some(Test::Equals(text)),
                ("value", false, None)
                    if test.is_none()
                        && operator.eq_ignore_ascii_case("ne")
                        && value.eq_ignore_ascii_case("null") =>
                {
                    test = Some(Test::Present);
                }
                _ => return Err(refuse()),
            }
        }
        match (id, test) {
            (Some(id), Some(test)) => Ok(Some(Self { id, test })),
            _ => Err(refuse()),
        }
    }

    /// Whether an item passes that has this value, if it has one. Upper and lower case are the same
    /// in values, as the page says.
    pub(crate) fn holds(&self, value: Option<&str>) -> bool {
        let lower = |text: &str| text.to_lowercase();
        let Some(value) = value else { return false };
        match &self.test {
            Test::Equals(wanted) => lower(value) == lower(wanted),
            Test::StartsWith(wanted) => lower(value).starts_with(&lower(wanted)),
            Test::Contains(wanted) => lower(value).contains(&lower(wanted)),
            Test::Present => true,
        }
    }
}

/// `startswith(ep/value, '…')` or `contains(ep/value, '…')`.
fn called(clause: &str, variable: &str) -> Option<Test> {
    let (function, rest) = clause.trim().split_once('(')?;
    let (property, text) = rest.trim_end().strip_suffix(')')?.split_once(',')?;
    let member = property.trim().strip_prefix(variable)?.strip_prefix('/')?;
    let text = unquoted(text.trim())?;
    match (function.trim(), member) {
        ("startswith", "value") => Some(Test::StartsWith(text)),
        ("contains", "value") => Some(Test::Contains(text)),
        _ => None,
    }
}

/// The normalised ids in one part of `$expand`; `None` when the part names something else.
pub(crate) fn expanded(part: &str) -> Result<Option<Vec<String>>, GraphError> {
    let Some(rest) = after(part.trim(), NAME) else { return Ok(None) };
    let refuse = || GraphError::bad_request(format!("Parsing $expand failed at '{part}'."));
    let inner = rest
        .trim_start()
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|inner| after(inner.trim(), "$filter"))
        .and_then(|rest| rest.trim_start().strip_prefix('='))
        .ok_or_else(refuse)?;
    let mut ids = Vec::new();
    for clause in split_words(inner.trim(), "or") {
        let id = clause
            .trim()
            .trim_start_matches('(')
            .trim_end_matches(')')
            .trim()
            .strip_prefix("id")
            .and_then(|rest| rest.trim_start().strip_prefix("eq"))
            .and_then(|rest| unquoted(rest.trim()))
            .ok_or_else(refuse)?;
        ids.push(property_id(&id)?);
    }
    if ids.len() > MOST_EXPANDED {
        return Err(GraphError::bad_request("Too many extended properties."));
    }
    Ok(Some(ids))
}

/// Normalised ids and values in the body of a request, none when the body has none.
pub(crate) fn given(body: &Map<String, Value>) -> Result<Vec<(String, String)>, GraphError> {
    let Some(list) = body.get(NAME) else { return Ok(Vec::new()) };
    let wrong = || {
        GraphError::new(
            400,
            "RequestBodyRead",
            format!("The value of the property '{NAME}' is not of the expected type."),
        )
    };
    list.as_array()
        .ok_or_else(wrong)?
        .iter()
        .map(|entry| {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).ok_or_else(wrong);
            Ok((property_id(text("id")?)?, text("value")?.to_owned()))
        })
        .collect()
}

/// Those of an item's properties that were asked for, as Graph shows them; `None` when it has none
/// of them: then the answer does not have the member at all.
pub(crate) fn shown(properties: &ExtendedProperties, ids: &[String]) -> Option<Value> {
    let found: Vec<Value> = ids
        .iter()
        .filter_map(|id| Some(json!({ "id": id, "value": properties.get(id)? })))
        .collect();
    (!found.is_empty()).then_some(Value::Array(found))
}

/// The id of an extended property as Exchange gives it back: `Long 0xe08`,
/// `String {00020329-0000-0000-c000-000000000046} Name x`.
pub(crate) fn property_id(id: &str) -> Result<String, GraphError> {
    const TYPES: &[&str] = &[
        "Binary",
        "Boolean",
        "CLSID",
        "Double",
        "Float",
        "Integer",
        "Long",
        "Short",
        "String",
        "SystemTime",
        "Currency",
        "ApplicationTime",
    ];
    let refuse = || {
        GraphError::new(
            400,
            "ErrorInvalidProperty",
            format!("The value '{id}' is not a valid extended property id."),
        )
    };
    let mut words = id.splitn(2, ' ');
    let kind = words.next().unwrap_or_default();
    let rest = words.next().unwrap_or_default().trim();
    let kind = TYPES.iter().find(|known| known.eq_ignore_ascii_case(kind)).ok_or_else(refuse)?;
    let hex = |text: &str| {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
        Some(format!("0x{:x}", u32::from_str_radix(digits, 16).ok()?))
    };
    if let Some(tag) = hex(rest) {
        return Ok(format!("{kind} {tag}"));
    }
    let mut words = rest.splitn(3, ' ');
    let (set, what, name) = (words.next(), words.next(), words.next());
    let guid = set
        .and_then(|s| s.strip_prefix('{')?.strip_suffix('}'))
        .and_then(|s| uuid::Uuid::try_parse(s).ok())
        .ok_or_else(refuse)?;
    match (what, name) {
        (Some(what), Some(name)) if what.eq_ignore_ascii_case("Name") && !name.is_empty() => {
            Ok(format!("{kind} {{{guid}}} Name {name}"))
        }
        (Some(what), Some(name)) if what.eq_ignore_ascii_case("Id") => {
            Ok(format!("{kind} {{{guid}}} Id {}", hex(name).ok_or_else(refuse)?))
        }
        _ => Err(refuse()),
    }
}

impl From<TooMuch> for GraphError {
    fn from(_: TooMuch) -> Self {
        Self::new(
            400,
            "ErrorPropertyTooBig",
            "The item has too many extended properties, or a value is too long.",
        )
    }
}

/// What follows `prefix`, which is compared without regard to case.
fn after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// A string literal's text; `None` for anything else.
fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inner.replace("''", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "String {00020329-0000-0000-C000-000000000046} Name a b";

    #[test]
    fn a_filter_finds_what_a_restore_marked_and_nothing_else() {
        let text = format!(
            "singleValueExtendedProperties/Any(ep: ep/id eq '{ID}' and ep/value eq 'it''s')"
        );
        let filter = Filter::parse(&text).unwrap().unwrap();
        assert_eq!(filter.id, ID.to_lowercase().replacen('s', "S", 1).replace("name", "Name"));
        assert!(filter.holds(Some("it's")) && !filter.holds(Some("its")) && !filter.holds(None));
        let text =
            format!("SingleValueExtendedProperties/any(x:x/id eq '{ID}' and x/value ne null)");
        let filter = Filter::parse(&text).unwrap().unwrap();
        assert!(filter.holds(Some("")) && !filter.holds(None));
        assert_eq!(Filter::parse("subject eq 'x'"), Ok(None));
        for (function, text, other) in [("startswith", "IT.x", "x.it."), ("contains", "xit.", "i")]
        {
            let text_of = format!(
                "singleValueExtendedProperties/Any(ep: ep/id eq '{ID}' and {function}(ep/value, 'it.'))"
            );
            let filter = Filter::parse(&text_of).unwrap().unwrap();
            assert!(filter.holds(Some(text)) && !filter.holds(Some(other)) && !filter.holds(None));
        }
        for bad in [
            format!(
                "singleValueExtendedProperties/Any(ep: ep/id eq '{ID}' and endswith(ep/value, 'x'))"
            ),
            format!(
                "singleValueExtendedProperties/Any(ep: ep/id eq '{ID}' and startswith(ep/id, 'x'))"
            ),
            format!(
                "singleValueExtendedProperties/Any(ep: startswith(ep/value, 'x') and ep/id eq '{ID}' and ep/value eq 'x')"
            ),
            "singleValueExtendedProperties".to_owned(),
            "singleValueExtendedProperties/Any(ep: ep/value eq 'x')".to_owned(),
            format!("singleValueExtendedProperties/Any(ep: ep/id eq '{ID}')"),
            format!(
                "singleValueExtendedProperties/Any(ep: ep/id eq '{ID}' and ep/value ne 'null')"
            ),
            format!("singleValueExtendedProperties/Any(ep: ep/id eq '{ID}' and ep/value eq null)"),
            format!("singleValueExtendedProperties/Any(ep: x/id eq '{ID}' and ep/value eq 'x')"),
            "singleValueExtendedProperties/Any(ep: ep/id eq 'x' and ep/value eq 'x')".to_owned(),
        ] {
            assert!(Filter::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_to_be_expanded_is_named_as_exchange_names_it() {
        let text =
            format!("singleValueExtendedProperties($filter=id eq 'Long 0x0E08' or id eq '{ID}')");
        let ids = expanded(&text).unwrap().unwrap();
        assert_eq!(ids, ["Long 0xe08", "String {00020329-0000-0000-c000-000000000046} Name a b"]);
        assert_eq!(expanded("attachments"), Ok(None));
        for bad in [NAME, "singleValueExtendedProperties($filter=id eq 'x')"] {
            assert!(expanded(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_item_takes_no_more_properties_than_it_can_hold() {
        let mut properties = ExtendedProperties::default();
        for number in 0..64 {
            properties.set(&format!("Long 0x{number:x}"), "1").unwrap();
        }
        assert_eq!(properties.set("Long 0xfff", "1"), Err(TooMuch));
        assert_eq!(properties.set("Long 0x1", "2"), Ok(()));
        assert_eq!(properties.set("Long 0x1", &"x".repeat(40_000)), Err(TooMuch));
        assert_eq!(properties.get("Long 0x1"), Some("2"));
        assert_eq!(properties.iter().count(), 64);
    }
}
