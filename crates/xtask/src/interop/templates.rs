//! The addresses that the documentation lists.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

/// Method and template, as [`Resource`](super::resource::Resource) writes them, in lower case.
pub(crate) struct Templates(BTreeSet<(String, String)>);

impl Templates {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let pages: Value = serde_json::from_str(&text)?;
        let lines = pages.as_object().into_iter().flat_map(|pages| pages.values());
        let lines = lines.filter_map(Value::as_array).flatten().filter_map(Value::as_str);
        Ok(Self(lines.filter_map(normal).collect()))
    }

    pub(crate) fn have(&self, method: &str, template: &str) -> bool {
        self.0.contains(&(method.to_owned(), template.to_ascii_lowercase()))
    }
}

/// `GET /me/mailFolders('inbox')?x={y}` is `GET /users/{id}/mailfolders/{id}`.
fn normal(line: &str) -> Option<(String, String)> {
    let (method, address) = line.split_once(' ')?;
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1.split_once('/')?.1,
        None => address,
    };
    let path = keys(path.split('?').next()?).to_ascii_lowercase();
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.first() == Some(&"me") {
        segments.splice(..1, ["users", "{id}"]);
    }
    Some((method.to_owned(), format!("/{}", segments.join("/"))))
}

/// Every key as `{id}`, in braces or in parentheses.
fn keys(path: &str) -> String {
    let mut text = String::new();
    let mut rest = path;
    while let Some(at) = rest.find(['{', '(']) {
        text.push_str(&rest[..at]);
        let (close, name) =
            if rest[at..].starts_with('{') { ('}', "{id}") } else { (')', "/{id}") };
        let Some(end) = rest[at..].find(close) else { break };
        // `delta()` has no key.
        if end > 1 {
            text.push_str(name);
        }
        rest = &rest[at + end + 1..];
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_address_is_the_same_one() {
        let expected = ("GET".to_owned(), "/users/{id}/mailfolders/{id}".to_owned());
        for line in [
            "GET /me/mailFolders('inbox')?x={y}",
            "GET /users/{id | userPrincipalName}/mailFolders/{id}",
            "GET https://graph.microsoft.com/v1.0/users/{id}/mailFolders/{id}/",
        ] {
            assert_eq!(normal(line), Some(expected.clone()), "{line}");
        }
    }
}
