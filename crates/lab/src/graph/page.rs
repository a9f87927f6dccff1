//! Answers of calendars and contacts: one entity, or a page of them.

use serde_json::{Map, Value, json};

use super::Desk;
use super::answer::{Answer, Content};
use super::errors::GraphError;
use super::paging::{ListPage, falsified};
use super::users::encode;

/// Elements on a page when nobody asks for more, and at most.
const PAGE: usize = 10;
const LARGEST_PAGE: usize = 1000;

/// Which elements of a list are asked for.
pub(super) struct Page {
    pub(super) top: usize,
    pub(super) skip: usize,
}

impl Page {
    pub(super) fn of(desk: &Desk<'_>) -> Result<Self, GraphError> {
        let asked = desk.query.number("$top", 1..=LARGEST_PAGE)?.or(desk.prefer.page);
        let skip = desk.query.number("$skip", 0..=usize::MAX)?.unwrap_or(0);
        Ok(Self { top: asked.unwrap_or(PAGE).min(LARGEST_PAGE), skip })
    }
}

/// A page of a list that has `total` elements. `path` is below the user.
pub(super) fn collection(
    desk: &Desk<'_>,
    page: &Page,
    path: &str,
    context: &str,
    total: usize,
    lines: Vec<Value>,
) -> Answer {
    let of = format!("users('{}')/{path}{context}", desk.mailbox.id);
    let path = format!("users/{}/{path}", desk.mailbox.id);
    collection_at(desk, page, &path, &of, total, lines)
}

/// A page of a list that is not below the user; with its path below the version and its context.
pub(super) fn collection_at(
    desk: &Desk<'_>,
    page: &Page,
    path: &str,
    of: &str,
    total: usize,
    lines: Vec<Value>,
) -> Answer {
    let next = (total > page.skip.saturating_add(page.top)).then(|| page.skip + page.top);
    let told = falsified(desk, path, page.skip, ListPage { items: lines, next });
    let mut answer = Map::new();
    answer.insert("@odata.context".into(), json!(desk.base.context(of)));
    if desk.query.get("$count") == Some("true") {
        answer.insert("@odata.count".into(), json!(total));
    }
    if let Some(next) = told.next {
        let mut link = desk.base.url(&format!("{path}?"));
        for name in [
            "startdatetime",
            "enddatetime",
            "$select",
            "$orderby",
            "$filter",
            "$expand",
            "$top",
            "$count",
        ] {
            if let Some(value) = desk.query.get(name) {
                link.push_str(&format!("{}={}&", encode(name), encode(value)));
            }
        }
        link.push_str(&format!("%24skip={next}"));
        answer.insert("@odata.nextLink".into(), json!(link));
    }
    answer.insert("value".into(), Value::Array(told.items));
    Answer::json(Value::Object(answer).to_string().into_bytes())
}

/// One entity.
pub(super) fn single(
    desk: &Desk<'_>,
    path: &str,
    context: &str,
    members: Map<String, Value>,
    status: u16,
) -> Answer {
    let of = format!("users('{}')/{path}{context}", desk.mailbox.id);
    let below = format!("users/{}/{path}", desk.mailbox.id);
    entity(desk, &of, &below, members, status)
}

/// One entity that is not below the user; with the path of its list below the version.
pub(super) fn single_at(
    desk: &Desk<'_>,
    path: &str,
    members: Map<String, Value>,
    status: u16,
) -> Answer {
    entity(desk, path, path, members, status)
}

fn entity(
    desk: &Desk<'_>,
    of: &str,
    path: &str,
    members: Map<String, Value>,
    status: u16,
) -> Answer {
    let of = format!("{of}/$entity");
    let mut answer = Map::new();
    answer.insert("@odata.context".into(), json!(desk.base.context(&of)));
    answer.extend(members);
    let location = (status == 201).then(|| {
        let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
        desk.base.url(&format!("{path}/{id}"))
    });
    let content = Content::Json(Value::Object(answer).to_string().into_bytes());
    Answer { location, ..Answer::status(status, content) }
}
