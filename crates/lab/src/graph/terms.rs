//! `$filter` of users and groups: comparisons and `startsWith`, joined by `and`, `or` and `not`
//! (<https://learn.microsoft.com/graph/aad-advanced-queries>).

use axum::http::HeaderMap;

use super::errors::GraphError;
use super::query::{Query, comparisons, split_words};

/// Any of these, all of whose terms hold.
pub(super) struct Terms(Vec<Vec<Term>>);

struct Term {
    property: String,
    test: Test,
    negated: bool,
}

enum Test {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    In(Vec<String>),
}

impl Terms {
    /// Reads `$filter`. What the directory's index does not have (`ne`, `not`, `endsWith`) wants
    /// `ConsistencyLevel: eventual` and `$count=true`.
    pub(super) fn read(query: &Query, headers: &HeaderMap) -> Result<Self, GraphError> {
        let Some(filter) = query.get("$filter") else { return Ok(Self(vec![Vec::new()])) };
        let level = headers.get("consistencylevel").and_then(|value| value.to_str().ok());
        let advanced = level.is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
            && query.get("$count") == Some("true");
        let any = split_words(filter, "or")
            .into_iter()
            .map(|all| split_words(all, "and").into_iter().map(term).collect())
            .collect::<Result<Vec<Vec<Term>>, GraphError>>()?;
        let needs = |term: &Term| term.negated || matches!(term.test, Test::EndsWith(_));
        if !advanced && any.iter().flatten().any(needs) {
            return Err(unsupported(
                "Operator 'not' and function 'endsWith' are supported only with the header \
                 ConsistencyLevel: eventual and $count=true.",
            ));
        }
        Ok(Self(any))
    }

    /// Whether they hold; `property` gives what the object has: none of an empty collection, all of
    /// it otherwise, and `None` for what cannot be filtered by.
    pub(super) fn hold(
        &self,
        property: impl Fn(&str) -> Option<Vec<String>>,
    ) -> Result<bool, GraphError> {
        let mut holds = false;
        for all in &self.0 {
            let mut every = true;
            for term in all {
                let values = property(&term.property).ok_or_else(|| {
                    unsupported(&format!(
                        "Unsupported or invalid query filter clause specified for property '{}'.",
                        term.property
                    ))
                })?;
                every &= values.iter().any(|value| term.test.holds(value)) != term.negated;
            }
            holds |= every;
        }
        Ok(holds)
    }
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        let value = value.to_lowercase();
        match self {
            Self::Equals(wanted) => value == *wanted,
            Self::StartsWith(wanted) => value.starts_with(wanted),
            Self::EndsWith(wanted) => value.ends_with(wanted),
            Self::In(list) => list.contains(&value),
        }
    }
}

fn term(text: &str) -> Result<Term, GraphError> {
    let text = text.trim();
    if let Some(inner) = call(text, "not") {
        let inner = term(inner)?;
        return Ok(Term { negated: !inner.negated, ..inner });
    }
    for (name, ends) in [("startswith", false), ("endswith", true)] {
        let Some((property, value)) = call(text, name).and_then(|inner| inner.split_once(','))
        else {
            continue;
        };
        let value = literal(value).ok_or_else(|| invalid(text))?;
        let test = if ends { Test::EndsWith(value) } else { Test::StartsWith(value) };
        return Ok(Term { property: property.trim().to_owned(), test, negated: false });
    }
    if let Some((property, list)) = text.split_once(" in ") {
        let list = list.trim().strip_prefix('(').and_then(|list| list.strip_suffix(')'));
        let values = list.map(|list| list.split(',').map(literal).collect::<Option<Vec<_>>>());
        let values = values.flatten().ok_or_else(|| invalid(text))?;
        return Ok(Term {
            property: property.trim().to_owned(),
            test: Test::In(values),
            negated: false,
        });
    }
    let read = comparisons(text)?;
    let [one] = read.as_slice() else { return Err(invalid(text)) };
    let negated = match one.operator.as_str() {
        "eq" => false,
        "ne" => true,
        _ => return Err(invalid(text)),
    };
    let test = Test::Equals(one.value.to_lowercase());
    Ok(Term { property: one.property.clone(), test, negated })
}

/// What stands in the parentheses of a function.
fn call<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (function, rest) = text.split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    function.trim().eq_ignore_ascii_case(name).then_some(inner)
}

/// The text of a literal, in lower case.
fn literal(text: &str) -> Option<String> {
    let inner = text.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inner.replace("''", "'").to_lowercase())
}

fn invalid(text: &str) -> GraphError {
    GraphError::new(400, "Request_BadRequest", format!("Invalid filter clause: '{text}'."))
}

fn unsupported(text: &str) -> GraphError {
    GraphError::new(400, "Request_UnsupportedQuery", text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(filter: &str, eventual: bool) -> Result<bool, u16> {
        let mut headers = HeaderMap::new();
        let mut text = format!("$filter={}", filter.replace(' ', "%20"));
        if eventual {
            headers.insert("consistencylevel", "eventual".parse().unwrap());
            text.push_str("&$count=true");
        }
        let query = Query::parse(Some(&text)).unwrap();
        let property = |name: &str| match name {
            "displayName" => Some(vec!["Ann O'Lee".to_owned()]),
            "accountEnabled" => Some(vec!["true".to_owned()]),
            "proxyAddresses" => Some(Vec::new()),
            _ => None,
        };
        Terms::read(&query, &headers)
            .and_then(|terms| terms.hold(property))
            .map_err(|error| error.status)
    }

    #[test]
    fn a_filter_of_the_directory_is_read_or_refused() {
        assert_eq!(
            holds("accountEnabled eq true and startsWith(displayName,'ann')", false),
            Ok(true)
        );
        assert_eq!(
            holds("displayName eq 'x' or displayName in ('Ann O''Lee','y')", false),
            Ok(true)
        );
        assert_eq!(holds("proxyAddresses eq 'x'", false), Ok(false));
        assert_eq!(holds("accountEnabled ne true", false), Err(400));
        assert_eq!(holds("accountEnabled ne true", true), Ok(false));
        assert_eq!(holds("not(startsWith(displayName,'b'))", true), Ok(true));
        assert_eq!(holds("endsWith(displayName,'LEE')", true), Ok(true));
        for bad in ["mood eq 'x'", "displayName", "displayName gt 'x'", "startsWith(displayName)"] {
            assert_eq!(holds(bad, true), Err(400), "{bad}");
        }
    }
}
