//! `$filter` as the directory and its logs know it: comparisons, `startswith` and `any`, joined by
//! `and` and `or`; which property takes which operator is documented for each resource.

use serde_json::Value;

use crate::clock;
use crate::graph::errors::GraphError;
use crate::graph::query::split_words;

/// Parentheses that may stand in each other.
const DEEPEST: usize = 8;

/// A property, as `a/b` or `list/any/b`, and the operators that it takes.
pub(in crate::graph) type Known = (&'static str, &'static [&'static str]);

/// A condition that entries are shown by.
#[derive(Debug)]
pub(in crate::graph) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    One { path: String, operator: String, value: String },
}

impl Filter {
    /// Reads a filter; refuses what is not in `known`.
    pub(in crate::graph) fn parse(text: &str, known: &[Known]) -> Result<Self, GraphError> {
        let refuse = || GraphError::bad_request(format!("Invalid filter clause: '{text}'."));
        parse(text, known, 0).ok_or_else(refuse)
    }

    pub(in crate::graph) fn holds(&self, entry: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(entry)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(entry)),
            Self::One { path, operator, value } => match path.split_once("/any") {
                None => compare(at(entry, path), operator, value),
                Some((list, rest)) => {
                    let rest = rest.trim_start_matches('/');
                    let elements = at(entry, list).as_array();
                    elements.into_iter().flatten().any(|element| {
                        let element = if rest.is_empty() { element } else { at(element, rest) };
                        compare(element, operator, value)
                    })
                }
            },
        }
    }

    /// Whether a property is part of it.
    pub(in crate::graph) fn mentions(&self, name: &str) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.mentions(name)),
            Self::One { path, .. } => path == name,
        }
    }
}

fn parse(text: &str, known: &[Known], depth: usize) -> Option<Filter> {
    let text = text.trim();
    if depth > DEEPEST {
        return None;
    }
    let parts = split_words(text, "or");
    if parts.len() > 1 {
        let parts = parts.into_iter().map(|part| parse(part, known, depth + 1));
        return parts.collect::<Option<_>>().map(Filter::Any);
    }
    let parts = split_words(text, "and");
    if parts.len() > 1 {
        let parts = parts.into_iter().map(|part| parse(part, known, depth + 1));
        return parts.collect::<Option<_>>().map(Filter::All);
    }
    if let Some(inside) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return parse(inside, known, depth + 1);
    }
    let (path, operator, value) = term(text)?;
    let takes = known.iter().find(|(name, _)| *name == path)?.1;
    if !takes.contains(&operator.as_str()) {
        return None;
    }
    let is_time = matches!(operator.as_str(), "ge" | "le") || path.ends_with("DateTime");
    if is_time && clock::parse_rfc3339(&value).is_none() {
        return None;
    }
    Some(Filter::One { path, operator, value })
}

/// Path, operator and value of one condition.
fn term(text: &str) -> Option<(String, String, String)> {
    if let Some((list, rest)) = text.split_once("/any(") {
        let (variable, condition) = rest.strip_suffix(')')?.split_once(':')?;
        let (path, operator, value) = term(condition.trim())?;
        let path = path.strip_prefix(variable.trim())?;
        return Some((format!("{list}/any{path}"), operator, value));
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("startswith(") {
        let (path, value) = text["startswith(".len()..].strip_suffix(')')?.split_once(',')?;
        return Some((path.trim().to_owned(), "startswith".to_owned(), literal(value)?));
    }
    let mut words = text.splitn(3, ' ');
    let (path, operator, value) = (words.next()?, words.next()?, words.next()?);
    Some((path.to_owned(), operator.to_lowercase(), literal(value)?))
}

/// A value without its quotes.
fn literal(text: &str) -> Option<String> {
    let text = text.trim();
    match text.strip_prefix('\'') {
        Some(rest) => Some(rest.strip_suffix('\'')?.replace("''", "'")),
        None if text.is_empty() || text.contains([' ', '\'', '(', ')']) => None,
        None => Some(text.to_owned()),
    }
}

fn at<'a>(entry: &'a Value, path: &str) -> &'a Value {
    path.split('/').fold(entry, |value, name| &value[name])
}

fn compare(actual: &Value, operator: &str, wanted: &str) -> bool {
    let text = match actual {
        Value::String(text) => text.clone(),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    };
    if operator == "startswith" {
        return text.to_lowercase().starts_with(&wanted.to_lowercase());
    }
    let time = |text: &str| clock::parse_rfc3339(text).map(time::OffsetDateTime::unix_timestamp);
    match (operator, time(&text), time(wanted)) {
        ("ge", Some(actual), Some(wanted)) => actual >= wanted,
        ("le", Some(actual), Some(wanted)) => actual <= wanted,
        ("eq", Some(actual), Some(wanted)) => actual == wanted,
        ("eq", ..) => text.eq_ignore_ascii_case(wanted),
        ("ne", ..) => !text.eq_ignore_ascii_case(wanted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KNOWN: &[Known] = &[
        ("createdDateTime", &["eq", "ge", "le"]),
        ("appId", &["eq"]),
        ("name", &["eq", "startswith"]),
        ("status/errorCode", &["eq"]),
        ("types/any", &["eq", "ne"]),
        ("targets/any/id", &["eq"]),
    ];

    #[test]
    fn a_filter_shows_what_it_says() {
        let entry = json!({
            "createdDateTime": "2026-11-27T08:00:00Z",
            "appId": "A",
            "name": "it's",
            "status": { "errorCode": 53003 },
            "types": ["servicePrincipal"],
            "targets": [{ "id": "1" }, { "id": "2" }],
        });
        for (text, holds) in [
            ("appId eq 'a'", true),
            ("name eq 'it''s' and appId eq 'a'", true),
            ("startsWith(name,'IT')", true),
            ("status/errorCode eq 53003", true),
            ("status/errorCode eq 0", false),
            (
                "createdDateTime ge 2026-11-27T07:59:59Z and createdDateTime le 2026-11-27T08:00:00Z",
                true,
            ),
            ("createdDateTime ge 2026-11-27T09:00:00+01:00", true),
            ("createdDateTime ge 2026-11-27T08:00:01Z", false),
            ("types/any(t: t eq 'servicePrincipal')", true),
            ("(types/any(t:t ne 'interactiveUser'))", true),
            ("types/any(t: t eq 'x') or types/any(t: t eq 'servicePrincipal')", true),
            ("targets/any(t:t/id eq '2')", true),
            ("targets/any(x: x/id eq '3')", false),
        ] {
            let filter = Filter::parse(text, KNOWN).unwrap();
            assert_eq!(filter.holds(&entry), holds, "{text}");
        }
    }

    #[test]
    fn what_is_not_documented_is_refused() {
        for bad in [
            "",
            "appId",
            "appId ne 'x'",
            "createdDateTime lt 2026-11-27T08:00:00Z",
            "createdDateTime ge 'yesterday'",
            "createdDateTime eq 5",
            "other eq 'x'",
            "appId eq 'x",
            "appId eq a b",
            "startswith(appId,'x')",
            "types/any(t: t eq 'x'",
            "types/any(t: u eq 'x')",
            "(((((((((((appId eq 'x')))))))))))",
        ] {
            assert!(Filter::parse(bad, KNOWN).is_err(), "{bad}");
        }
    }
}
