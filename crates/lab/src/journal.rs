//! What clients of Graph sent, written down for whoever checks that it is what Graph takes.
//!
//! One line of JSON a request, in a file of this lab's own: `requests-PROCESS-PORT.jsonl`. Nothing
//! in it opens anything: no header but a few harmless ones, no secret of an upload's address.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::LabError;
use crate::operation::Operation;

/// Headers that say what a request means. `Authorization` is not among them.
const HEADERS: &[&str] =
    &["user-agent", "prefer", "content-type", "content-range", "consistencylevel", "if-match"];
/// A longer text in a body is cut to this; a multiple of four, so that base64 remains base64.
const LONGEST: usize = 1024;
/// Members of a body that open something: a proof that a key is held does for ten minutes.
const SECRETS: &[&str] = &["proof", "secretText"];

/// One request.
pub(crate) struct Entry<'a> {
    pub(crate) operation: Operation,
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    /// `None` when it was refused before that was read.
    pub(crate) body: Option<&'a Bytes>,
    pub(crate) status: u16,
    pub(crate) in_batch: bool,
}

/// The file, when somebody asked for it.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    file: Option<Mutex<File>>,
}

impl Journal {
    /// Begins a file in a directory, which is made.
    pub(crate) fn begin(directory: Option<&Path>, port: u16) -> Result<Self, LabError> {
        let Some(directory) = directory else { return Ok(Self::default()) };
        let path = directory.join(format!("requests-{}-{port}.jsonl", std::process::id()));
        let failed = |source| LabError::Write { path: path.clone(), source };
        std::fs::create_dir_all(directory).map_err(failed)?;
        let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
        Ok(Self { file: Some(Mutex::new(file)) })
    }

    pub(crate) fn write(&self, entry: &Entry<'_>) {
        let Some(file) = &self.file else { return };
        let mut line = entry.to_json().to_string();
        line.push('\n');
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // In one go, for the lab may be killed at any moment.
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::warn!(%error, "a request could not be written down");
        }
    }
}

impl Entry<'_> {
    fn to_json(&self) -> Value {
        let value = |name: &str| self.headers.get(name)?.to_str().ok();
        let headers: Map<String, Value> =
            HEADERS.iter().filter_map(|name| Some(((*name).into(), json!(value(name)?)))).collect();
        let secret = |query: &&str| !query.starts_with("authtoken=");
        let query = self
            .uri
            .query()
            .map(|query| query.split('&').filter(secret).collect::<Vec<_>>().join("&"));
        let body = self.body.map(|body| match serde_json::from_slice(body) {
            Ok(value) => shortened(value),
            Err(_) => json!({ "bytes": body.len() }),
        });
        let is_json =
            value("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        json!({
            "operation": self.operation.as_str(),
            "method": self.method.as_str(),
            "path": self.uri.path(),
            "query": query,
            "headers": headers,
            "has_token": self.headers.contains_key("authorization"),
            "json": is_json,
            "body": body,
            "status": self.status,
            "in_batch": self.in_batch,
        })
    }
}

fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > LONGEST => {
            Value::String(text.chars().take(LONGEST).collect())
        }
        Value::Array(list) => list.into_iter().map(shortened).collect(),
        Value::Object(members) => {
            let told = |(name, one): (String, Value)| match SECRETS.contains(&name.as_str()) {
                true if one.is_string() => (name, json!("redacted")),
                _ => (name, shortened(one)),
            };
            Value::Object(members.into_iter().map(told).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_holds_no_secret() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer secret-token".parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        let body = json!({ "contentBytes": "QUJD".repeat(1000), "proof": "secret-proof" });
        let body = Bytes::from(body.to_string());
        let entry = Entry {
            operation: Operation::UploadPut,
            method: &Method::PUT,
            uri: &"/api/v2.0/x?authtoken=secret-address&a=b".parse().unwrap(),
            headers: &headers,
            body: Some(&body),
            status: 201,
            in_batch: false,
        };
        let line = entry.to_json();
        assert!(!line.to_string().contains("secret"), "{line}");
        assert_eq!((&line["query"], &line["has_token"]), (&json!("a=b"), &json!(true)));
        assert_eq!(line["body"]["contentBytes"].as_str().map(str::len), Some(LONGEST));
    }
}
