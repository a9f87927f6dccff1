//! Query options (`$select`, `$top` …) and the `Prefer` header.

use axum::http::HeaderMap;

use super::errors::GraphError;
use crate::state::IdKind;

/// The decoded query of a request, each option once.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn parse(raw: Option<&str>) -> Result<Self, GraphError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            let name = name.to_lowercase();
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(GraphError::bad_request(format!(
                    "Query option '{name}' was specified more than once, but it must be specified at most once."
                )));
            }
            pairs.push((name, value.into_owned()));
        }
        Ok(Self { pairs })
    }

    /// Refuses every option that is not among `allowed` (lower case).
    pub(crate) fn allow(&self, allowed: &[&str]) -> Result<(), GraphError> {
        match self.pairs.iter().find(|(name, _)| !allowed.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => Err(GraphError::bad_request(format!(
                "The query parameter '{name}' is not supported."
            ))),
        }
    }

    /// The whole query as it stands in a URL, with its question mark if there is one.
    pub(crate) fn written(&self) -> String {
        if self.pairs.is_empty() {
            return String::new();
        }
        let pairs = self.pairs.iter();
        let text =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("?{text}")
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A number option within bounds.
    pub(crate) fn number(
        &self,
        name: &str,
        bounds: std::ops::RangeInclusive<usize>,
    ) -> Result<Option<usize>, GraphError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().ok().filter(|number| bounds.contains(number)).map(Some).ok_or_else(|| {
            GraphError::bad_request(format!(
                "Invalid value '{text}' for query option '{name}': it must be between {} and {}.",
                bounds.start(),
                bounds.end()
            ))
        })
    }
}

/// What a client prefers; unknown preferences are ignored, as they must be (RFC 7240).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prefer {
    pub(crate) ids: IdKind,
    pub(crate) page: Option<usize>,
    pub(crate) text_body: bool,
}

impl Prefer {
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        for preference in values.flat_map(|value| value.split([',', ';'])) {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "idtype" if value.eq_ignore_ascii_case("ImmutableId") => {
                    prefer.ids = IdKind::Immutable;
                }
                "odata.maxpagesize" | "maxpagesize" => {
                    prefer.page = value.parse().ok().filter(|size| *size > 0);
                }
                "outlook.body-content-type" => {
                    prefer.text_body = value.eq_ignore_ascii_case("text");
                }
                _ => {}
            }
        }
        prefer
    }

    /// The `Preference-Applied` header.
    pub(crate) fn applied(&self) -> Option<&'static str> {
        match (self.ids, self.text_body) {
            (IdKind::Immutable, false) => Some("IdType=\"ImmutableId\""),
            (IdKind::Regular, true) => Some("outlook.body-content-type=\"text\""),
            (IdKind::Immutable, true) => {
                Some("IdType=\"ImmutableId\", outlook.body-content-type=\"text\"")
            }
            (IdKind::Regular, false) => None,
        }
    }
}

/// Splits at `separator` where it stands neither in parentheses nor in quotes.
pub(crate) fn split_top(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut quoted, mut start) = (0usize, false, 0);
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ if c == separator && depth == 0 && !quoted => {
                parts.push(text[start..at].trim());
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// One `property operator value` of a `$filter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) property: String,
    pub(crate) operator: String,
    /// Without quotes.
    pub(crate) value: String,
}

/// Reads a `$filter` that is a conjunction of comparisons.
pub(crate) fn comparisons(filter: &str) -> Result<Vec<Comparison>, GraphError> {
    let refuse = || GraphError::bad_request(format!("Invalid filter clause: '{filter}'."));
    let mut found = Vec::new();
    for clause in split_words(filter, "and") {
        let clause = clause.trim();
        let mut words = clause.splitn(3, ' ');
        let (Some(property), Some(operator), Some(value)) =
            (words.next(), words.next(), words.next())
        else {
            return Err(refuse());
        };
        let value = value.trim();
        let value = match value.strip_prefix('\'') {
            Some(rest) => rest.strip_suffix('\'').ok_or_else(refuse)?.replace("''", "'"),
            None if value.contains(' ') => return Err(refuse()),
            None => value.to_owned(),
        };
        found.push(Comparison {
            property: property.to_owned(),
            operator: operator.to_lowercase(),
            value,
        });
    }
    Ok(found)
}

/// Splits at a word (`and`, `or`) that stands outside of quotes and parentheses.
pub(crate) fn split_words<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let pieces = split_top(text, ' ');
    let base = text.as_ptr() as usize;
    let offset = |piece: &str| piece.as_ptr() as usize - base;
    let mut parts = Vec::new();
    let mut start = 0;
    for piece in pieces {
        if piece.eq_ignore_ascii_case(word) {
            parts.push(text[start..offset(piece)].trim());
            start = offset(piece) + piece.len();
        }
    }
    parts.push(text[start..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_found_in_every_form_that_clients_write() {
        let mut headers = HeaderMap::new();
        headers.append("prefer", "IdType=\"ImmutableId\", odata.maxpagesize=250".parse().unwrap());
        headers.append("prefer", "respond-async; wait=1".parse().unwrap());
        let prefer = Prefer::parse(&headers);
        assert_eq!((prefer.ids, prefer.page), (IdKind::Immutable, Some(250)));
    }

    #[test]
    fn a_filter_is_read_or_refused_but_never_half_understood() {
        let read = comparisons("a eq 'x and y' and b ge 2020-01-01T00:00:00Z").unwrap();
        assert_eq!(read[0].value, "x and y");
        assert_eq!(read[1].operator, "ge");
        for bad in ["", "a", "a eq", "a eq 'x", "a eq b c", "a eq 'x' or"] {
            assert!(comparisons(bad).is_err(), "{bad}");
        }
        assert_eq!(split_top("a,b($filter=x eq 'p,q'),c", ',').len(), 3);
    }

    #[test]
    fn an_option_that_is_not_known_is_refused() {
        let query = Query::parse(Some("%24select=id&$top=5")).unwrap();
        assert_eq!(query.get("$select"), Some("id"));
        assert!(query.allow(&["$select"]).is_err());
        assert_eq!(query.number("$top", 1..=10).unwrap(), Some(5));
        assert!(query.number("$top", 6..=10).is_err());
        assert!(Query::parse(Some("$top=1&$Top=2")).is_err());
    }
}
