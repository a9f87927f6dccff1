//! Groups and who is in them (<https://learn.microsoft.com/graph/api/resources/group>).

use axum::http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use super::Base;
use super::answer::Answer;
use super::errors::GraphError;
use super::query::Query;
use super::select::Selection;
use super::terms::Terms;
use super::users::{self, CREATED, Listed};
use crate::clock;
use crate::operation::Operation;
use crate::state::{Group, Member, Tenant};

/// What a URL below `/groups` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    All,
    One(String),
    Members(String, Of),
}

/// Which members are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Of {
    /// Those of the groups in it as well.
    transitive: bool,
    /// Users only.
    users: bool,
}

impl Groups {
    pub(super) fn parse(words: &[&str]) -> Option<Self> {
        let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
        let [id, rest @ ..] = words else { return Some(Self::All) };
        let of = match rest {
            [] => return Some(Self::One((*id).to_owned())),
            [what, of @ ..] => {
                let transitive = is(what, "transitiveMembers");
                let users = matches!(of, [one] if is(one, "microsoft.graph.user"));
                let known = (transitive || is(what, "members")) && (users || of.is_empty());
                known.then_some(Of { transitive, users })?
            }
        };
        Some(Self::Members((*id).to_owned(), of))
    }

    pub(super) fn operation(&self, method: &Method) -> Option<Operation> {
        let operation = match self {
            Self::All => Operation::GroupsList,
            Self::One(_) => Operation::GroupShow,
            Self::Members(_, of) if of.transitive => Operation::GroupTransitiveMembers,
            Self::Members(..) => Operation::GroupMembers,
        };
        (*method == Method::GET).then_some(operation)
    }
}

/// Answers a request.
pub(super) fn answer(
    base: &Base<'_>,
    query: &Query,
    headers: &HeaderMap,
    tenant: &Tenant,
    what: &Groups,
) -> Result<Answer, GraphError> {
    let directory = tenant.directory();
    let find = |id: &str| {
        // Groups have no other name in URLs than their id.
        let group = directory.groups.iter().find(|group| group.id.to_string() == id);
        group.ok_or_else(|| GraphError::user_not_found(id))
    };
    match what {
        Groups::All => {
            query.allow(&["$select", "$top", "$skiptoken", "$filter", "$count"])?;
            let (page, terms) = (Listed::of(query)?, Terms::read(query, headers)?);
            let selection = Selection::group(query.get("$select"))?;
            let mut found = Vec::new();
            for group in &directory.groups {
                if terms.hold(|name| comparable(group, name))? {
                    found.push(Value::Object(shown(selection, group)));
                }
            }
            let total = found.len();
            let lines: Vec<Value> = found.into_iter().skip(page.start).take(page.top).collect();
            let context = format!("groups{}", selection.context());
            Ok(page.answer(base, query, "groups", &context, total, &lines))
        }
        Groups::One(id) => {
            query.allow(&["$select"])?;
            let selection = Selection::group(query.get("$select"))?;
            let mut answer = Map::new();
            let context = base.context(&format!("groups{}/$entity", selection.context()));
            answer.insert("@odata.context".into(), json!(context));
            answer.extend(shown(selection, find(id)?));
            Ok(Answer::json(Value::Object(answer).to_string().into_bytes()))
        }
        Groups::Members(id, of) => {
            query.allow(&["$select", "$top", "$skiptoken", "$count"])?;
            let page = Listed::of(query)?;
            let selection = Selection::user(query.get("$select"))?;
            let all = Selection::group(None)?;
            let found = directory.members(find(id)?, of.transitive);
            let lines = found.iter().filter_map(|member| match member {
                Member::User(mailbox) => Some(typed("user", users::shown(selection, mailbox))),
                Member::Group(_) if of.users => None,
                Member::Group(group) => Some(typed("group", shown(all, group))),
            });
            let found: Vec<Value> = lines.collect();
            let total = found.len();
            let lines: Vec<Value> = found.into_iter().skip(page.start).take(page.top).collect();
            let list = if of.transitive { "transitiveMembers" } else { "members" };
            let cast = if of.users { "/microsoft.graph.user" } else { "" };
            let context = if of.users { "users" } else { "directoryObjects" };
            let path = format!("groups/{id}/{list}{cast}");
            Ok(page.answer(base, query, &path, context, total, &lines))
        }
    }
}

fn typed(kind: &str, members: Map<String, Value>) -> Value {
    let mut object = Map::new();
    object.insert("@odata.type".into(), json!(format!("#microsoft.graph.{kind}")));
    object.extend(members);
    Value::Object(object)
}

fn shown(selection: Selection, group: &Group) -> Map<String, Value> {
    let mut members = Map::from_iter([("id".to_owned(), json!(group.id))]);
    let nickname: String = group.name.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    for name in selection.iter() {
        let value = match name {
            "displayName" => json!(group.name),
            "mail" => json!(group.mail),
            "mailEnabled" => json!(group.mail.is_some()),
            "mailNickname" => json!(nickname),
            "securityEnabled" => json!(group.mail.is_none()),
            "groupTypes" if group.mail.is_some() => json!(["Unified"]),
            "proxyAddresses" => {
                json!(group.mail.iter().map(|mail| format!("SMTP:{mail}")).collect::<Vec<_>>())
            }
            "groupTypes" => json!([]),
            "createdDateTime" | "renewedDateTime" => json!(clock::iso(CREATED)),
            _ => Value::Null,
        };
        members.insert(name.to_owned(), value);
    }
    members
}

/// What groups can be filtered by.
fn comparable(group: &Group, name: &str) -> Option<Vec<String>> {
    Some(match name {
        "displayName" => vec![group.name.clone()],
        "id" => vec![group.id.to_string()],
        "mail" => group.mail.iter().cloned().collect(),
        "mailEnabled" => vec![group.mail.is_some().to_string()],
        "securityEnabled" => vec![group.mail.is_none().to_string()],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_where_the_documentation_says() {
        let parse = |path: &str| {
            let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
            Groups::parse(&words)
        };
        assert_eq!(parse(""), Some(Groups::All));
        assert_eq!(parse("g"), Some(Groups::One("g".into())));
        let of = |transitive, users| Some(Groups::Members("g".into(), Of { transitive, users }));
        assert_eq!(parse("g/members"), of(false, false));
        assert_eq!(parse("g/transitiveMembers/microsoft.graph.user"), of(true, true));
        for nothing in ["g/owners", "g/members/microsoft.graph.device", "g/members/x/y"] {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
    }
}
