//! What a mailbox has besides items: settings, inbox rules and categories.

mod categories;
mod rules;
mod settings;
mod todo;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::Desk;
use super::answer::Answer;
use super::errors::GraphError;
use crate::operation::Operation;
use crate::state::Entity;
pub(crate) use categories::{all as categories, everything as categories_as_graph_shows};
pub(crate) use rules::everything as rule_as_graph_shows;
pub(crate) use settings::everything as settings_as_graph_shows;
pub(crate) use todo::{Todo, everything as tasks_as_graph_shows};

/// A resource of a mailbox that is no item. Everything is named as in the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// All of them, or one.
    Settings(Option<String>),
    /// Where the mailboxes of a user are found.
    Exchange,
    Rules,
    Rule(String),
    Categories,
    Category(String),
    Todo(Todo),
}

impl Outlook {
    /// Reads what follows `/users/{id}`.
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
        match words {
            [one] if is(one, "mailboxSettings") => Some(Self::Settings(None)),
            [one, part] if is(one, "mailboxSettings") => {
                Some(Self::Settings(Some((*part).to_owned())))
            }
            [one, two] if is(one, "settings") && is(two, "exchange") => Some(Self::Exchange),
            // Rules are those of the inbox alone.
            [one, folder, three, rest @ ..]
                if is(one, "mailFolders") && is(folder, "inbox") && is(three, "messageRules") =>
            {
                match rest {
                    [] => Some(Self::Rules),
                    [id] => Some(Self::Rule((*id).to_owned())),
                    _ => None,
                }
            }
            [one, two, rest @ ..] if is(one, "outlook") && is(two, "masterCategories") => {
                match rest {
                    [] => Some(Self::Categories),
                    [id] => Some(Self::Category((*id).to_owned())),
                    _ => None,
                }
            }
            [one, rest @ ..] if is(one, "todo") => Todo::parse(rest).map(Self::Todo),
            _ => None,
        }
    }

    /// The operation that a method is, if there is one.
    pub(crate) fn operation(&self, method: &Method) -> Option<Operation> {
        use Operation as Op;
        let (get, post, patch, delete) = match self {
            Self::Settings(None) => (Some(Op::SettingsShow), None, Some(Op::SettingsPatch), None),
            Self::Settings(Some(_)) => (Some(Op::SettingsShow), None, None, None),
            Self::Exchange => (Some(Op::ExchangeSettings), None, None, None),
            Self::Rules => (Some(Op::RulesList), Some(Op::RuleCreate), None, None),
            Self::Rule(_) => (Some(Op::RuleShow), None, Some(Op::RulePatch), Some(Op::RuleDelete)),
            Self::Categories => (Some(Op::CategoriesList), Some(Op::CategoryCreate), None, None),
            Self::Category(_) => {
                (Some(Op::CategoryShow), None, Some(Op::CategoryPatch), Some(Op::CategoryDelete))
            }
            Self::Todo(todo) => return todo.operation(method),
        };
        match *method {
            Method::GET => get,
            Method::POST => post,
            Method::PATCH => patch,
            Method::DELETE => delete,
            _ => None,
        }
    }

    /// Rights any one of which is enough.
    pub(crate) fn need(&self, operation: Operation) -> &'static [&'static str] {
        use Operation as Op;
        match (self, operation) {
            (Self::Todo(todo), _) => todo.need(operation),
            (Self::Exchange, _) => &["User.Read.All", "User.ReadWrite.All"],
            (
                _,
                Op::SettingsShow
                | Op::RulesList
                | Op::RuleShow
                | Op::CategoriesList
                | Op::CategoryShow,
            ) => &["MailboxSettings.Read", "MailboxSettings.ReadWrite"],
            _ => &["MailboxSettings.ReadWrite"],
        }
    }
}

/// Answers a request.
pub(super) fn answer(
    desk: &Desk<'_>,
    operation: Operation,
    what: &Outlook,
    body: &[u8],
) -> Result<Answer, GraphError> {
    match what {
        Outlook::Settings(part) => settings::answer(desk, operation, part.as_deref(), body),
        Outlook::Exchange => settings::exchange(desk),
        Outlook::Rules => rules::many(desk, operation, body),
        Outlook::Rule(id) => rules::one(desk, operation, id, body),
        Outlook::Categories => categories::many(desk, operation, body),
        Outlook::Category(id) => categories::one(desk, operation, id, body),
        Outlook::Todo(todo) => todo::answer(desk, operation, todo, body),
    }
}

/// An id and properties.
fn members(entity: &Entity) -> Map<String, Value> {
    let mut members = Map::from_iter([("id".to_owned(), json!(entity.id))]);
    members.extend(entity.fields.clone());
    members
}

/// A list without pages.
fn list(desk: &Desk<'_>, path: &str, lines: &[Value]) -> Answer {
    let of = format!("users('{}')/{path}", desk.mailbox.id);
    let answer = json!({ "@odata.context": desk.base.context(&of), "value": lines });
    Answer::json(answer.to_string().into_bytes())
}

fn named<'e>(list: &'e [Entity], id: &str) -> Result<&'e Entity, GraphError> {
    list.iter().find(|one| *one.id == *id).ok_or_else(GraphError::item_not_found)
}
