//! Rules of the inbox (<https://learn.microsoft.com/graph/api/resources/messagerule>).

use serde_json::{Map, Value, json};

use super::{list, members, named};
use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::folders::{self, object};
use crate::graph::page::single;
use crate::graph::shape::{self, IMPORTANCE, Kind, Property, RECIPIENT};
use crate::operation::Operation;
use crate::state::{Entity, MailboxState};

const TEXTS: Kind = Kind::Many(&Kind::Text);
const RECIPIENTS: Kind = Kind::Many(&RECIPIENT);
const ACTIONS: &[Property] = &[
    ("assignCategories", TEXTS),
    ("copyToFolder", Kind::Text),
    ("delete", Kind::Truth),
    ("forwardAsAttachmentTo", RECIPIENTS),
    ("forwardTo", RECIPIENTS),
    ("markAsRead", Kind::Truth),
    ("markImportance", IMPORTANCE),
    ("moveToFolder", Kind::Text),
    ("permanentDelete", Kind::Truth),
    ("redirectTo", RECIPIENTS),
    ("stopProcessingRules", Kind::Truth),
];
const PREDICATES: &[Property] = &[
    ("bodyContains", TEXTS),
    ("bodyOrSubjectContains", TEXTS),
    ("categories", TEXTS),
    ("fromAddresses", RECIPIENTS),
    ("hasAttachments", Kind::Truth),
    ("headerContains", TEXTS),
    ("importance", IMPORTANCE),
    ("isApprovalRequest", Kind::Truth),
    ("isAutomaticForward", Kind::Truth),
    ("isAutomaticReply", Kind::Truth),
    ("isEncrypted", Kind::Truth),
    ("isMeetingRequest", Kind::Truth),
    ("isMeetingResponse", Kind::Truth),
    ("isNonDeliveryReport", Kind::Truth),
    ("isPermissionControlled", Kind::Truth),
    ("isReadReceipt", Kind::Truth),
    ("isSigned", Kind::Truth),
    ("isVoicemail", Kind::Truth),
    ("messageActionFlag", Kind::Choice(FLAGS)),
    ("notSentToMe", Kind::Truth),
    ("recipientContains", TEXTS),
    ("senderContains", TEXTS),
    ("sensitivity", Kind::Choice(&["normal", "personal", "private", "confidential"])),
    ("sentCcMe", Kind::Truth),
    ("sentOnlyToMe", Kind::Truth),
    ("sentToAddresses", RECIPIENTS),
    ("sentToMe", Kind::Truth),
    ("sentToOrCcMe", Kind::Truth),
    ("subjectContains", TEXTS),
    (
        "withinSizeRange",
        Kind::Object(&[("maximumSize", Kind::Number), ("minimumSize", Kind::Number)]),
    ),
];
const FLAGS: &[&str] = &[
    "any",
    "call",
    "doNotForward",
    "followUp",
    "fyi",
    "forward",
    "noResponseNecessary",
    "read",
    "reply",
    "replyToAll",
    "review",
];
const PROPERTIES: &[Property] = &[
    ("displayName", Kind::Text),
    ("sequence", Kind::Number),
    ("isEnabled", Kind::Truth),
    ("conditions", Kind::Object(PREDICATES)),
    ("actions", Kind::Object(ACTIONS)),
    ("exceptions", Kind::Object(PREDICATES)),
];
const READ_ONLY: &[&str] = &["id", "hasError", "isReadOnly"];
const PATH: &str = "mailFolders('inbox')/messageRules";

/// `…/messageRules`
pub(super) fn many(
    desk: &Desk<'_>,
    operation: Operation,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    if operation == Operation::RulesList {
        let state = desk.mailbox.read();
        let rules = state.settings.rules.iter();
        let lines: Vec<Value> = rules.map(|rule| Value::Object(members(rule))).collect();
        return Ok(list(desk, PATH, &lines));
    }
    let wanted = shape::read(&object(body)?, PROPERTIES, READ_ONLY)?;
    let mut state = desk.mailbox.write();
    check(&state, &wanted)?;
    let missing = |name: &str| {
        GraphError::new(400, "ErrorInvalidArgument", format!("A rule needs the property '{name}'."))
    };
    let name = wanted.get("displayName").and_then(Value::as_str);
    name.filter(|name| !name.is_empty()).ok_or_else(|| missing("displayName"))?;
    let actions = wanted.get("actions").and_then(Value::as_object);
    actions.filter(|actions| !actions.is_empty()).ok_or_else(|| missing("actions"))?;
    let mut fields = Map::from_iter([
        ("displayName".to_owned(), Value::Null),
        ("sequence".to_owned(), json!(state.settings.rules.len() + 1)),
        ("isEnabled".to_owned(), json!(true)),
        ("hasError".to_owned(), json!(false)),
        ("isReadOnly".to_owned(), json!(false)),
    ]);
    shape::merge(&mut fields, wanted);
    let rule = state.add_rule(fields);
    Ok(single(desk, PATH, "", members(&rule), 201))
}

/// `…/messageRules/{id}`
pub(super) fn one(
    desk: &Desk<'_>,
    operation: Operation,
    id: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut state = desk.mailbox.write();
    named(&state.settings.rules, id)?;
    match operation {
        Operation::RuleDelete => {
            state.settings.rules.retain(|rule| *rule.id != *id);
            return Ok(Answer::no_content());
        }
        Operation::RulePatch => {
            let wanted = shape::read(&object(body)?, PROPERTIES, READ_ONLY)?;
            check(&state, &wanted)?;
            for rule in state.settings.rules.iter_mut().filter(|rule| *rule.id == *id) {
                // Conditions, exceptions and actions are replaced as a whole.
                rule.fields.extend(wanted.clone());
            }
            state.settings.sort_rules();
        }
        _ => {}
    }
    Ok(single(desk, PATH, "", members(named(&state.settings.rules, id)?), 200))
}

/// All properties of a rule.
pub(crate) fn everything(rule: &Entity) -> Map<String, Value> {
    members(rule)
}

/// Folders that a rule names must be there.
fn check(state: &MailboxState, wanted: &Map<String, Value>) -> Result<(), GraphError> {
    for name in ["moveToFolder", "copyToFolder"] {
        let folder = wanted.get("actions").and_then(|actions| actions.get(name));
        if let Some(folder) = folder.and_then(Value::as_str) {
            folders::find(state, folder)?;
        }
    }
    Ok(())
}
