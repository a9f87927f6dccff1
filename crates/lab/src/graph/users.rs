//! Users (<https://learn.microsoft.com/graph/api/user-list>), and how they change
//! (<https://learn.microsoft.com/graph/api/user-delta>).

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::Base;
use super::answer::Answer;
use super::cursor::{Cursor, Sealer};
use super::errors::GraphError;
use super::query::Query;
use super::select::Selection;
use super::terms::Terms;
use crate::clock;
use crate::state::{Mailbox, Tenant, UserChange};

/// Users on a page (Graph: 100, at most 999).
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 999;
/// When everything in the directory was made: 2026-01-05T09:00:00Z.
pub(super) const CREATED: i64 = 1_767_603_600;
/// What stands for "all users" in a cursor; no folder has this number.
const USERS: u64 = 0x7fff_0000_0000_0500;

/// `GET /users`
pub(super) fn list(
    base: &Base<'_>,
    query: &Query,
    headers: &HeaderMap,
    tenant: &Tenant,
) -> Result<Answer, GraphError> {
    query.allow(&["$select", "$top", "$skiptoken", "$filter", "$count"])?;
    let selection = Selection::user(query.get("$select"))?;
    let page = Listed::of(query)?;
    let terms = Terms::read(query, headers)?;
    let mut found = Vec::new();
    for mailbox in tenant.mailboxes() {
        if terms.hold(|name| comparable(&mailbox, name))? {
            found.push(mailbox);
        }
    }
    let context = format!("users{}", selection.context());
    let lines = found.iter().skip(page.start).take(page.top);
    let lines: Vec<Value> = lines.map(|mailbox| Value::Object(shown(selection, mailbox))).collect();
    Ok(page.answer(base, query, "users", &context, found.len(), &lines))
}

/// `GET /users/{id | userPrincipalName}`
pub(super) fn show(
    base: &Base<'_>,
    query: &Query,
    tenant: &Tenant,
    name: &str,
) -> Result<Answer, GraphError> {
    query.allow(&["$select"])?;
    let selection = Selection::user(query.get("$select"))?;
    let mailbox = tenant.mailbox(name).ok_or_else(|| GraphError::user_not_found(name))?;
    let mut answer = Map::new();
    let context = base.context(&format!("users{}/$entity", selection.context()));
    answer.insert("@odata.context".into(), json!(context));
    answer.extend(shown(selection, &mailbox));
    Ok(Answer::json(Value::Object(answer).to_string().into_bytes()))
}

/// `GET /users/delta`
pub(super) fn changes(
    base: &Base<'_>,
    query: &Query,
    tenant: &Tenant,
    sealer: &Sealer,
    now: i64,
) -> Result<Answer, GraphError> {
    let directory = tenant.directory();
    let start = match resumed(query, tenant, sealer, now)? {
        Some(cursor) => cursor,
        None => {
            query.allow(&["$select"])?;
            Cursor {
                mailbox: tenant.id,
                folder: USERS,
                floor: directory.sequence,
                selection: Selection::user(query.get("$select"))?.bits,
                issued: now,
                ..Cursor::default()
            }
        }
    };
    let selection = Selection::user_bits(start.selection);
    let (found, more) = directory.changes(start.position, start.floor, PAGE);
    let next = Cursor {
        skip: more,
        // A round that has ended stands behind what came and went meanwhile, too.
        position: match found.last() {
            Some((change, _)) if more => *change,
            _ => directory.sequence,
        },
        // Once a round has ended, everything that is gone and was there has been passed.
        floor: if more { start.floor } else { 0 },
        issued: now,
        ..start
    };
    let lines: Vec<Value> = found
        .iter()
        .map(|(_, change)| match change {
            UserChange::Present(mailbox) => Value::Object(shown(selection, mailbox)),
            UserChange::Gone(gone) => json!({
                "id": gone.id,
                "@removed": { "reason": if gone.purged { "deleted" } else { "changed" } },
            }),
        })
        .collect();
    let (name, option) =
        if more { ("@odata.nextLink", "$skiptoken") } else { ("@odata.deltaLink", "$deltatoken") };
    let answer = json!({
        "@odata.context": base.context(&format!("users{}", selection.context())),
        name: base.url(&format!("users/delta?{option}={}", sealer.seal(&next))),
        "value": lines,
    });
    Ok(Answer::json(answer.to_string().into_bytes()))
}

/// The cursor of a nextLink or deltaLink; nothing else may stand beside its token.
fn resumed(
    query: &Query,
    tenant: &Tenant,
    sealer: &Sealer,
    now: i64,
) -> Result<Option<Cursor>, GraphError> {
    for (name, skip) in [("$skiptoken", true), ("$deltatoken", false)] {
        if let Some(token) = query.get(name) {
            query.allow(&[name])?;
            return sealer.open(token, tenant.id, USERS, skip, now).map(Some);
        }
    }
    Ok(None)
}

/// The selected properties of a user.
pub(super) fn shown(selection: Selection, mailbox: &Mailbox) -> Map<String, Value> {
    let (given, surname) =
        mailbox.display_name.split_once(' ').unwrap_or((&mailbox.display_name, ""));
    let mut members = Map::from_iter([("id".to_owned(), json!(mailbox.id))]);
    for name in selection.iter() {
        let value = match name {
            "displayName" => json!(mailbox.display_name),
            "mail" | "userPrincipalName" => json!(mailbox.address),
            "givenName" => json!(given),
            "surname" => json!(Some(surname).filter(|surname| !surname.is_empty())),
            "accountEnabled" => json!(!mailbox.profile.disabled),
            "userType" => json!(user_type(mailbox)),
            "mailNickname" => json!(mailbox.address.split('@').next().unwrap_or("")),
            "proxyAddresses" => json!([format!("SMTP:{}", mailbox.address)]),
            "createdDateTime" => json!(clock::iso(CREATED)),
            "businessPhones" | "otherMails" => json!([]),
            _ => Value::Null,
        };
        members.insert(name.to_owned(), value);
    }
    members
}

fn user_type(mailbox: &Mailbox) -> &'static str {
    if mailbox.profile.guest { "Guest" } else { "Member" }
}

/// What users can be filtered by.
fn comparable(mailbox: &Mailbox, name: &str) -> Option<Vec<String>> {
    let (given, surname) =
        mailbox.display_name.split_once(' ').unwrap_or((&mailbox.display_name, ""));
    Some(vec![match name {
        "userPrincipalName" | "mail" => mailbox.address.to_string(),
        "displayName" => mailbox.display_name.clone(),
        "givenName" => given.to_owned(),
        "surname" => surname.to_owned(),
        "mailNickname" => mailbox.address.split('@').next().unwrap_or("").to_owned(),
        "id" => mailbox.id.to_string(),
        "accountEnabled" => (!mailbox.profile.disabled).to_string(),
        "userType" => user_type(mailbox).to_owned(),
        _ => return None,
    }])
}

/// A page of a list of the directory.
pub(super) struct Listed {
    pub(super) start: usize,
    pub(super) top: usize,
}

impl Listed {
    pub(super) fn of(query: &Query) -> Result<Self, GraphError> {
        let top = query.number("$top", 1..=LARGEST_PAGE)?.unwrap_or(PAGE);
        let start = match query.get("$skiptoken") {
            None => 0,
            Some(token) => skip(token).ok_or_else(|| {
                GraphError::new(400, "Request_BadRequest", "The skip token is not valid.")
            })?,
        };
        Ok(Self { start, top })
    }

    /// `path` is below the version.
    pub(super) fn answer(
        &self,
        base: &Base<'_>,
        query: &Query,
        path: &str,
        context: &str,
        total: usize,
        lines: &[Value],
    ) -> Answer {
        let mut answer = Map::new();
        answer.insert("@odata.context".into(), json!(base.context(context)));
        if query.get("$count") == Some("true") {
            answer.insert("@odata.count".into(), json!(total));
        }
        if total > self.start.saturating_add(self.top) {
            let mut link = base.url(&format!("{path}?"));
            for name in ["$select", "$filter", "$count"] {
                if let Some(value) = query.get(name) {
                    link.push_str(&format!("{name}={}&", encode(value)));
                }
            }
            let next = token(self.start + self.top);
            link.push_str(&format!("$top={}&$skiptoken={next}", self.top));
            answer.insert("@odata.nextLink".into(), json!(link));
        }
        answer.insert("value".into(), json!(lines));
        Answer::json(Value::Object(answer).to_string().into_bytes())
    }
}

fn token(position: usize) -> String {
    data_encoding::BASE64URL_NOPAD.encode(format!("users:{position}").as_bytes())
}

fn skip(token: &str) -> Option<usize> {
    let raw = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    std::str::from_utf8(&raw).ok()?.strip_prefix("users:")?.parse().ok()
}

/// A value in the query of a link.
pub(super) fn encode(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
