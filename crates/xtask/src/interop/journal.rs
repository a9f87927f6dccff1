//! What our program sent, as the lab wrote it down, checked request by request.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    body, query,
    resource::{Form, Resource},
    schema::Schema,
    templates::Templates,
};

/// How our requests begin their `User-Agent`; other people's and those of the lab's own tests, which
/// are wrong on purpose, do not.
const OURS: &str = "mailkeep/";
/// Preferences that Graph documents for Outlook.
const PREFERENCES: &[&str] = &[
    "IdType",
    "include-unknown-enum-members",
    "odata.maxpagesize",
    "odata.track-changes",
    "outlook.body-content-type",
    "outlook.timezone",
    "return",
];
/// Where files and items are uploaded: addresses that Graph gives, of no documented form.
const UPLOADS: &[&str] = &["/api/v2.0/", "/api/g"];
const LARGEST_BATCH: usize = 20;
/// What the digest of the schema has no types for: addresses that the reference pages name. `*` is a key.
const WITHOUT_TYPES: &[&str] = &[
    "/admin/configurationManagement/configurationSnapshotJobs/*",
    "/admin/configurationManagement/configurationSnapshots/createSnapshot",
    "/admin/configurationManagement/configurationSnapshots/*",
    "/identity/conditionalAccess/namedLocations",
    "/identity/conditionalAccess/policies",
    "/security/auditLog/queries",
    "/security/auditLog/queries/*",
    "/security/auditLog/queries/*/records",
];
/// Lists whose queries name what the beta alone has.
const QUERIES_OF_THE_BETA: &[&str] = &["/auditLogs/signIns"];

/// All requests for one operation.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) requests: u64,
    /// In batches, of all.
    pub(crate) in_batches: u64,
    /// What is wrong with some of them.
    pub(crate) problems: BTreeSet<String>,
    /// Whether the documentation has an address of this form, or the schema alone.
    pub(crate) documented: bool,
}

/// Requests by method and template.
pub(crate) type All = BTreeMap<(String, String), Sent>;

/// Reads all journals in a directory.
pub(crate) fn read(directory: &Path, schema: &Schema, templates: &Templates) -> Result<All> {
    let mut all = All::new();
    for file in fs::read_dir(directory).into_iter().flatten() {
        let path = file?.path();
        let file = fs::File::open(&path).with_context(|| path.display().to_string())?;
        for line in BufReader::new(file).lines() {
            // The last line of a lab that was killed may end anywhere.
            let Ok(request) = serde_json::from_str::<Value>(&line?) else { continue };
            if request["headers"]["user-agent"].as_str().is_some_and(|by| by.starts_with(OURS)) {
                add(&mut all, schema, templates, &request);
            }
        }
    }
    Ok(all)
}

fn add(all: &mut All, schema: &Schema, templates: &Templates, request: &Value) {
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let (method, path) = (text("method"), text("path"));
    let (template, documented, problem) =
        match UPLOADS.iter().find(|begin| path.starts_with(**begin)) {
            Some(begin) => (format!("{begin}…"), true, upload(request).err()),
            None => graph(schema, templates, request),
        };
    let sent = all.entry((method.to_owned(), template)).or_default();
    sent.requests += 1;
    sent.in_batches += u64::from(request["in_batch"] == true);
    sent.documented |= documented;
    sent.problems.extend(problem);
}

/// A request to an address that Graph gave for an upload.
fn upload(request: &Value) -> Result<(), String> {
    if request["has_token"] == true {
        return Err("the address is the permission: a token has no business there".into());
    }
    let piece = request["path"].as_str().is_some_and(|path| path.starts_with(UPLOADS[0]));
    let range = request["headers"]["content-range"].as_str();
    if piece && request["method"] == "PUT" && !range.is_some_and(|r| r.starts_with("bytes ")) {
        return Err("a piece needs a Content-Range".into());
    }
    Ok(())
}

/// The template of a request to Graph, whether it is documented, and what is wrong.
fn graph(
    schema: &Schema,
    templates: &Templates,
    request: &Value,
) -> (String, bool, Option<String>) {
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let (path, method) = (text("path"), text("method"));
    let version = ["/v1.0", "/beta"].into_iter().find(|version| path.starts_with(version));
    let rest = path.strip_prefix(version.unwrap_or_default()).unwrap_or(path);
    if let Some(template) = without_types(rest) {
        return (template, true, preferences(text("prefer")).err());
    }
    let resource = match Resource::find(schema, rest) {
        Ok(resource) => resource,
        Err(problem) => return (path.to_owned(), false, Some(problem)),
    };
    let documented = templates.have(method, &resource.template);
    let is_beta =
        version == Some("/beta") && QUERIES_OF_THE_BETA.contains(&resource.template.as_str());
    let problem = check(schema, &resource, request, is_beta).err();
    let template = match version {
        Some("/beta") => format!("/beta{}", resource.template),
        _ => resource.template,
    };
    (template, documented, problem)
}

/// The template of an address that the digest has no types for.
fn without_types(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |known: &&&str| {
        let known: Vec<&str> = known.split('/').collect();
        known.len() == segments.len()
            && known.iter().zip(&segments).all(|(known, told)| *known == "*" || known == told)
    };
    WITHOUT_TYPES.iter().find(fits).map(|known| known.replace('*', "{id}"))
}

fn check(
    schema: &Schema,
    resource: &Resource,
    request: &Value,
    is_beta: bool,
) -> Result<(), String> {
    let method = request["method"].as_str().unwrap_or_default();
    if !resource.allows(method) && !is_photo(resource, method) {
        return Err(format!("{method} is nothing for {}", resource.template));
    }
    if request["has_token"] != true {
        return Err("there is no token".into());
    }
    let query = request["query"].as_str().unwrap_or_default();
    // A filter of users is the administrator's own: Graph says what is wrong with it.
    let is_theirs = resource.template == "/users" && request["status"] == 400;
    if method == "GET" {
        if !is_theirs && !is_beta {
            query::check(schema, resource, query)?;
        }
    } else if !query.is_empty() {
        return Err(format!("{method} takes no query: {query}"));
    }
    preferences(request["headers"]["prefer"].as_str().unwrap_or_default())?;
    // `null`: the lab refused the request before it had read the body.
    let body = &request["body"];
    match method {
        "POST" | "PATCH" if !body.is_null() => content(schema, resource, method, request),
        _ => Ok(()),
    }
}

fn is_photo(resource: &Resource, method: &str) -> bool {
    resource.form == Form::Value && resource.template.ends_with("/photo/$value") && method == "PUT"
}

fn content(
    schema: &Schema,
    resource: &Resource,
    method: &str,
    request: &Value,
) -> Result<(), String> {
    let body = &request["body"];
    let kind = request["headers"]["content-type"].as_str().unwrap_or_default();
    let is_json = kind.starts_with("application/json");
    match &resource.form {
        Form::Batch => batch(body),
        Form::Action(known) if is_json => body::parameters(schema, known, body),
        Form::Action(known) if known.is_empty() => Ok(()),
        // MIME, in base64.
        Form::Collection if kind == "text/plain" && resource.kind.name == "graph.message" => Ok(()),
        Form::Collection | Form::One if is_json => {
            let value = resource.kind.one();
            let value = super::schema::Kind { nullable: false, ..value };
            body::check(schema, &value, body, value.name.trim_start_matches("graph."))
        }
        _ => Err(format!("{method} {} with a body of '{kind}'", resource.template)),
    }
}

/// The frame of a batch; what is in it was written down request by request.
fn batch(body: &Value) -> Result<(), String> {
    let only = |value: &Value, names: &[&str]| {
        let members = value.as_object().ok_or("a batch is made of objects")?;
        let other = members.keys().find(|name| !names.contains(&name.as_str()));
        other.map_or(Ok(()), |name| Err(format!("a batch has no '{name}'")))
    };
    only(body, &["requests"])?;
    let requests = body["requests"].as_array().ok_or("a batch has requests")?;
    if requests.is_empty() || requests.len() > LARGEST_BATCH {
        return Err(format!("a batch of {}", requests.len()));
    }
    let mut ids = BTreeSet::new();
    for one in requests {
        only(one, &["id", "method", "url", "headers", "body", "dependsOn"])?;
        let text = |name: &str| one[name].as_str().filter(|text| !text.is_empty());
        let id = text("id").ok_or("a request of a batch needs an id")?;
        if !ids.insert(id.to_ascii_lowercase()) {
            return Err(format!("the id '{id}' is there twice"));
        }
        text("method").ok_or("a request of a batch needs a method")?;
        let url = text("url").ok_or("a request of a batch needs an address")?;
        if url.contains("://") || url.starts_with("/v1.0") {
            return Err(format!("'{url}' is not relative to the version"));
        }
        let typed = one["headers"].as_object().is_some_and(|headers| {
            headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"))
        });
        if one.get("body").is_some() && !typed {
            return Err("a body in a batch needs a Content-Type".into());
        }
    }
    Ok(())
}

fn preferences(header: &str) -> Result<(), String> {
    for preference in header.split(',').map(str::trim).filter(|one| !one.is_empty()) {
        let name = preference.split('=').next().unwrap_or_default().trim();
        if !PREFERENCES.contains(&name) {
            return Err(format!("nobody knows the preference '{preference}'"));
        }
    }
    Ok(())
}
