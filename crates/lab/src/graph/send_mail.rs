//! `POST /users/{id}/sendMail`
//! (<https://learn.microsoft.com/graph/api/user-sendmail>): a message as JSON, or as MIME in base64. It
//! goes to mailboxes of the tenant; what is for others leaves the lab.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use serde_json::{Map, Value};

use super::answer::{Answer, Content};
use super::errors::GraphError;
use super::input::{self, Occasion};
use super::{Desk, folders, write};
use crate::compose::{Attachment, Letter, Nature};
use crate::state::{Core, Mailbox, Party, Properties, SeedMessage, WellKnown};

/// Most recipients of a message: Exchange Online's default.
const MOST_RECIPIENTS: usize = 500;

/// What is to be sent.
struct Order {
    letter: Letter,
    /// The message as it was given, when it was MIME.
    mime: Option<Arc<Core>>,
    keeps_a_copy: bool,
}

pub(super) fn answer(
    desk: &Desk<'_>,
    content_type: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_lowercase();
    let order = match kind.as_str() {
        "text/plain" => from_mime(body)?,
        "application/json" => from_json(desk, body)?,
        _ => {
            return Err(GraphError::new(
                415,
                "UnsupportedMediaType",
                "The content type must be application/json, or text/plain for MIME.",
            ));
        }
    };
    let recipients = recipients(&order.letter)?;
    may_send_as(desk, &order.letter)?;
    if order.keeps_a_copy {
        let copy = match &order.mime {
            Some(core) => Arc::clone(core),
            None => Arc::new(Core::parse(Bytes::from(order.letter.mime()), None)),
        };
        put(desk.mailbox, WellKnown::SentItems, copy, true, desk.now)?;
    }
    deliver(desk, order, &recipients)?;
    Ok(Answer::status(202, Content::Empty))
}

/// Takes it to its recipients, unless something on the way does otherwise.
fn deliver(desk: &Desk<'_>, order: Order, recipients: &BTreeSet<String>) -> Result<(), GraphError> {
    let flow = desk.tenant.mail_flow.settings();
    if flow.blocked_senders.contains(&desk.mailbox.address.to_lowercase()) {
        // The sender gets a report that it was not delivered, which nobody here reads.
        return Ok(());
    }
    let rules = Rules::of(desk, &order.letter, recipients);
    if rules.deletes {
        return Ok(());
    }
    let core = match order.mime {
        Some(core) if !flow.sealed => core,
        _ => {
            // Who else got it is not for its recipients to see.
            let mut letter = Letter { bcc: Vec::new(), ..order.letter };
            if flow.sealed {
                seal(&mut letter);
            }
            Arc::new(Core::parse(Bytes::from(letter.mime()), None))
        }
    };
    for address in &rules.recipients {
        if let Some(to) = desk.tenant.mailbox(address) {
            put(&to, WellKnown::Inbox, Arc::clone(&core), false, desk.now)?;
        }
    }
    Ok(())
}

/// What rules of Exchange's do to a message.
struct Rules {
    deletes: bool,
    recipients: BTreeSet<String>,
}

impl Rules {
    fn of(desk: &Desk<'_>, letter: &Letter, recipients: &BTreeSet<String>) -> Self {
        let mut rules = Self { deletes: false, recipients: recipients.clone() };
        let admin = &desk.tenant.exchange_admin;
        let is = |rule: &Properties, name: &str, wanted: &str| {
            rule.get(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
        };
        let enabled = |rule: &Properties| !is(rule, "Enabled", "False");
        let added = |rule: &Properties, name: &str| rule.get(name).map(|to| to.to_lowercase());
        for rule in admin.objects("TransportRule").into_iter().filter(enabled) {
            let from = rule.get("From");
            let to = rule.get("SentTo");
            let words = rule.get("SubjectContainsWords");
            let subject = letter.subject.to_lowercase();
            let fits = from.is_none_or(|from| from.eq_ignore_ascii_case(&desk.mailbox.address))
                && to.is_none_or(|to| recipients.contains(&to.to_lowercase()))
                && words.is_none_or(|words| subject.contains(&words.to_lowercase()));
            if !fits {
                continue;
            }
            rules.deletes |= is(&rule, "DeleteMessage", "True");
            if let Some(to) = added(&rule, "RedirectMessageTo") {
                rules.recipients = BTreeSet::from([to]);
            }
            rules.recipients.extend(added(&rule, "BlindCopyTo"));
        }
        // A report in reality; here the message itself.
        for rule in admin.objects("JournalRule").into_iter().filter(enabled) {
            let of = rule.get("Recipient").map(|one| one.to_lowercase());
            if of.is_none_or(|one| recipients.contains(&one)) {
                rules.recipients.extend(added(&rule, "JournalEmailAddress"));
            }
        }
        rules
    }
}

fn put(
    mailbox: &Mailbox,
    role: WellKnown,
    core: Arc<Core>,
    read: bool,
    now: i64,
) -> Result<(), GraphError> {
    let mut state = mailbox.write();
    let folder = state.well_known(role).ok_or_else(GraphError::item_not_found)?;
    let item = state.add(folder, SeedMessage { read, ..SeedMessage::new(core) }, now)?;
    state.change(item, now, |message| message.received = now)?;
    Ok(())
}

/// What its recipients get of a message that was sealed: a note, and what only a licence opens.
fn seal(letter: &mut Letter) {
    let sealed = Attachment {
        name: "message_v2.rpmsg".to_owned(),
        content_type: "application/x-microsoft-rpmsg-message".to_owned(),
        content_id: None,
        inline: false,
        bytes: Bytes::from(vec![0x76; 64 + letter.body.len()]),
        nature: Nature::File,
    };
    "This message is protected with Microsoft Information Protection.".clone_into(&mut letter.body);
    letter.html = false;
    letter.attachments = vec![sealed];
}

fn from_mime(body: &[u8]) -> Result<Order, GraphError> {
    let core = write::from_mime(body)?;
    Ok(Order { letter: write::letter(&core), mime: Some(core), keeps_a_copy: true })
}

/// The parameters' names begin with a capital letter in the schema and with a small one in the
/// documentation; the service takes both, and the second parameter also as a text.
fn from_json(desk: &Desk<'_>, body: &[u8]) -> Result<Order, GraphError> {
    let (mut message, mut keeps_a_copy) = (None, true);
    for (name, value) in folders::object(body)? {
        match (name.as_str(), value) {
            ("message" | "Message", Value::Object(fields)) => message = Some(fields),
            ("saveToSentItems" | "SaveToSentItems", Value::Bool(keep)) => keeps_a_copy = keep,
            ("saveToSentItems" | "SaveToSentItems", Value::String(keep))
                if ["true", "false"].contains(&keep.to_lowercase().as_str()) =>
            {
                keeps_a_copy = keep.eq_ignore_ascii_case("true");
            }
            ("message" | "Message" | "saveToSentItems" | "SaveToSentItems", _) => {
                return Err(GraphError::bad_request(format!(
                    "The value of the parameter '{name}' is not of the expected type."
                )));
            }
            _ => {
                return Err(GraphError::bad_request(format!(
                    "The parameter '{name}' in the request payload is not a valid parameter for \
                     the operation 'sendMail'."
                )));
            }
        }
    }
    let fields: Map<String, Value> = message
        .ok_or_else(|| GraphError::bad_request("The required parameter 'Message' is missing."))?;
    input::check_names(&fields, Occasion::Creation)?;
    let letter = write::from_json(desk, &fields)?;
    Ok(Order { letter, mime: None, keeps_a_copy })
}

/// The addresses that it is for, lower case.
fn recipients(letter: &Letter) -> Result<BTreeSet<String>, GraphError> {
    let refused = |text: String| Err(GraphError::new(400, "ErrorInvalidRecipients", text));
    let all: Vec<&Party> = [&letter.to, &letter.cc, &letter.bcc].into_iter().flatten().collect();
    let unresolved = |name: &str| {
        format!(
            "At least one recipient isn't valid., Recipient '{name}' isn't resolved. All recipients \
             must be resolved before a message can be submitted."
        )
    };
    if all.is_empty() {
        return refused(unresolved(""));
    }
    if all.len() > MOST_RECIPIENTS {
        return refused(format!("A message has at most {MOST_RECIPIENTS} recipients."));
    }
    let is_address = |party: &&Party| {
        let parts = party.address.rsplit_once('@');
        parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
            && !party.address.contains(char::is_whitespace)
    };
    if let Some(wrong) = all.iter().find(|party| !is_address(party)) {
        return refused(unresolved(&wrong.address));
    }
    Ok(all.iter().map(|party| party.address.to_lowercase()).collect())
}

/// Whoever may send from a mailbox may not send in the name of another one.
fn may_send_as(desk: &Desk<'_>, letter: &Letter) -> Result<(), GraphError> {
    let is_own = |party: &Party| party.address.eq_ignore_ascii_case(&desk.mailbox.address);
    let named = letter.from.iter().chain(&letter.sender);
    if named.into_iter().all(is_own) {
        return Ok(());
    }
    Err(GraphError::new(
        403,
        "ErrorSendAsDenied",
        "The user account which was used to submit this request does not have the right to send mail \
         on behalf of the specified sending account.",
    ))
}
