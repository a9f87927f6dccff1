//! Reading of messages.

use super::answer::{Answer, Content};
use super::errors::GraphError;
use super::folders;
use super::json::Json;
use super::paging;
use super::query::{Comparison, comparisons};
use super::render::{self, View};
use super::select::{Expand, Selection};
use super::users::encode;
use super::{Desk, extended};
use crate::clock;
use crate::ids::{self, ItemRef};
use crate::state::{MailboxState, Message};

/// Messages on a page when nobody asks for more, and at most.
const PAGE: usize = 10;
const LARGEST_PAGE: usize = 1000;

/// The item that a URL names, in the folder that the URL names if it does.
pub(super) fn find<'s>(
    state: &'s MailboxState,
    folder: Option<&str>,
    id: &str,
) -> Result<(u64, &'s Message), GraphError> {
    let Some(reference) = ids::parse_item_id(state.mailbox, id) else {
        // Exchange tells an id of another mailbox from text that is no id at all.
        let exchange_id = id.len() > 30 && id.starts_with("AA");
        return Err(if exchange_id {
            GraphError::item_not_found()
        } else {
            GraphError::new(400, "ErrorInvalidIdMalformed", "Id is malformed.")
        });
    };
    let item = reference.item();
    let message = state.messages.get(&item).ok_or_else(GraphError::item_not_found)?;
    let stale = matches!(reference, ItemRef::Located { location, .. }
        if location != message.place.location);
    let elsewhere = match folder {
        Some(folder) => folders::find(state, folder)? != message.place.folder,
        None => state.is_hidden(message.place.folder),
    };
    if stale || elsewhere { Err(GraphError::item_not_found()) } else { Ok((item, message)) }
}

/// `GET …/messages/{id}`
pub(super) fn show(desk: &Desk<'_>, folder: Option<&str>, id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&["$select", "$expand"])?;
    let selection = Selection::message(desk.query.get("$select"))?;
    let expand = Expand::parse(desk.query.get("$expand"))?;
    let state = desk.mailbox.read();
    let (item, message) = find(&state, folder, id)?;
    Ok(entity(desk, &state, selection, &expand, item, message, 200))
}

/// `GET …/messages/{id}/$value`
pub(super) fn value(desk: &Desk<'_>, folder: Option<&str>, id: &str) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let core = {
        let state = desk.mailbox.read();
        std::sync::Arc::clone(&find(&state, folder, id)?.1.core)
    };
    Ok(Answer::status(200, Content::Mime(core)))
}

/// One message as an answer of its own.
pub(super) fn entity(
    desk: &Desk<'_>,
    state: &MailboxState,
    selection: Selection,
    expand: &Expand,
    item: u64,
    message: &Message,
    status: u16,
) -> Answer {
    let view = view(desk, state, selection, expand);
    let mut json = Json::with_capacity(2048);
    json.object(|json| {
        let of = format!("users('{}')/messages{}/$entity", desk.mailbox.id, selection.context());
        json.member("@odata.context", &desk.base.context(&of));
        render::message(json, &view, item, message);
    });
    Answer {
        preference_applied: desk.prefer.applied(),
        ..Answer::status(status, Content::Json(json.finish()))
    }
}

fn view<'a>(
    desk: &Desk<'_>,
    state: &MailboxState,
    selection: Selection,
    expand: &'a Expand,
) -> View<'a> {
    View {
        mailbox: state.mailbox,
        selection,
        expand,
        prefer: desk.prefer,
        typed: false,
        beta: desk.base.is_beta(),
    }
}

/// `GET …/messages`, of the mailbox or of a folder.
pub(super) fn list(desk: &Desk<'_>, folder: Option<&str>) -> Result<Answer, GraphError> {
    const OPTIONS: &[&str] =
        &["$select", "$top", "$skip", "$orderby", "$filter", "$expand", "$count"];
    desk.query.allow(OPTIONS)?;
    let selection = Selection::message(desk.query.get("$select"))?;
    let expand = Expand::parse(desk.query.get("$expand"))?;
    let top = desk.query.number("$top", 1..=LARGEST_PAGE)?.or(desk.prefer.page).unwrap_or(PAGE);
    let top = top.min(LARGEST_PAGE);
    let skip = desk.query.number("$skip", 0..=usize::MAX)?.unwrap_or(0);
    let tests = tests(desk.query.get("$filter").unwrap_or_default())?;
    let ascending = ascending(desk.query.get("$orderby"))?;

    let state = desk.mailbox.read();
    let at = folder.map(|name| folders::find(&state, name)).transpose()?;
    let mut found: Vec<(u64, &Message)> = match at {
        Some(number) => {
            let folder = state.folders.get(&number).ok_or_else(GraphError::item_not_found)?;
            folder.items().filter_map(|item| Some((item, state.messages.get(&item)?))).collect()
        }
        None => state
            .messages
            .iter()
            .filter(|(_, message)| !state.is_hidden(message.place.folder))
            .map(|(item, message)| (*item, message))
            .collect(),
    };
    found.retain(|(_, message)| tests.iter().all(|test| test.holds(message)));
    found.sort_by_key(|(item, message)| (message.received, *item));
    if !ascending {
        found.reverse();
    }
    let view = view(desk, &state, selection, &expand);
    let path = match at {
        Some(number) => {
            let id = ids::folder_id(state.mailbox, number);
            format!("mailFolders('{id}')/messages")
        }
        None => "messages".to_owned(),
    };
    let count = found.len();
    let page = paging::list(desk, &path, found, skip, top);
    let mut json = Json::with_capacity(256 + page.items.len() * 1024);
    json.object(|json| {
        let of = format!("users('{}')/{path}{}", desk.mailbox.id, selection.context());
        json.member("@odata.context", &desk.base.context(&of));
        if desk.query.get("$count") == Some("true") {
            json.member("@odata.count", &count);
        }
        if let Some(next) = page.next {
            let mut link = desk.base.url(&format!("users/{}/{path}?", desk.mailbox.id));
            for name in ["$select", "$orderby", "$filter", "$expand", "$top", "$count"] {
                if let Some(value) = desk.query.get(name) {
                    link.push_str(&format!("%24{}={}&", &name[1..], encode(value)));
                }
            }
            link.push_str(&format!("%24skip={next}"));
            json.member("@odata.nextLink", &link);
        }
        json.key("value").array(|json| {
            for (item, message) in page.items {
                json.object(|json| render::message(json, &view, item, message));
            }
        });
    });
    Ok(Answer { preference_applied: desk.prefer.applied(), ..Answer::json(json.finish()) })
}

fn ascending(order: Option<&str>) -> Result<bool, GraphError> {
    match order.map(str::to_lowercase).as_deref() {
        None | Some("receiveddatetime desc") => Ok(false),
        Some("receiveddatetime" | "receiveddatetime asc") => Ok(true),
        Some(other) => {
            Err(GraphError::bad_request(format!("The sort order '{other}' is not supported.")))
        }
    }
}

/// One clause of a `$filter`.
enum Test {
    ReceivedFrom(i64),
    ReceivedUntil(i64),
    Read(bool),
    Attachments(bool),
    Subject(String),
    MessageId(String),
    Extended(extended::Filter),
}

impl Test {
    fn holds(&self, message: &Message) -> bool {
        match self {
            Self::ReceivedFrom(at) => message.received >= *at,
            Self::ReceivedUntil(at) => message.received <= *at,
            Self::Read(read) => message.read == *read,
            Self::Attachments(has) => message.core.has_attachments == *has,
            Self::Subject(subject) => *message.core.subject == **subject,
            Self::MessageId(id) => message.core.message_id.as_deref() == Some(id),
            Self::Extended(filter) => {
                filter.holds(render::extended_value(message, &filter.id).as_deref())
            }
        }
    }
}

fn tests(filter: &str) -> Result<Vec<Test>, GraphError> {
    if filter.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(filter) = extended::Filter::parse(filter)? {
        return Ok(vec![Test::Extended(filter)]);
    }
    comparisons(filter)?.iter().map(test).collect()
}

fn test(comparison: &Comparison) -> Result<Test, GraphError> {
    let refuse = || {
        GraphError::new(
            400,
            "ErrorInvalidUrlQueryFilter",
            format!(
                "The query filter contains one or more invalid nodes: '{}'.",
                comparison.property
            ),
        )
    };
    let value = comparison.value.as_str();
    let time = || clock::parse_rfc3339(value).map(|at| at.unix_timestamp()).ok_or_else(refuse);
    let truth = || value.parse::<bool>().map_err(|_| refuse());
    match (comparison.property.as_str(), comparison.operator.as_str()) {
        ("receivedDateTime", "ge") => Ok(Test::ReceivedFrom(time()?)),
        ("receivedDateTime", "gt") => Ok(Test::ReceivedFrom(time()? + 1)),
        ("receivedDateTime", "le") => Ok(Test::ReceivedUntil(time()?)),
        ("receivedDateTime", "lt") => Ok(Test::ReceivedUntil(time()? - 1)),
        ("isRead", "eq") => Ok(Test::Read(truth()?)),
        ("hasAttachments", "eq") => Ok(Test::Attachments(truth()?)),
        ("subject", "eq") => Ok(Test::Subject(value.to_owned())),
        ("internetMessageId", "eq") => Ok(Test::MessageId(value.to_owned())),
        _ => Err(refuse()),
    }
}
