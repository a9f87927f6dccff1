//! Settings of a mailbox (<https://learn.microsoft.com/graph/api/resources/mailboxsettings>), and which
//! mailboxes a user has (<https://learn.microsoft.com/graph/api/resources/exchangesettings>).

use serde_json::{Map, Value, json};

use crate::graph::Desk;
use crate::graph::answer::Answer;
use crate::graph::errors::GraphError;
use crate::graph::exchange;
use crate::graph::folders::object;
use crate::graph::shape::{self, DAY, Kind, Property};
use crate::ids;
use crate::operation::Operation;
use crate::state::{MailboxState, Purpose, WellKnown};

const REPLIES: &[Property] = &[
    ("status", Kind::Choice(&["disabled", "alwaysEnabled", "scheduled"])),
    ("externalAudience", Kind::Choice(&["none", "contactsOnly", "all"])),
    ("externalReplyMessage", Kind::Text),
    ("internalReplyMessage", Kind::Text),
    ("scheduledStartDateTime", Kind::ZonedTime),
    ("scheduledEndDateTime", Kind::ZonedTime),
];
const HOURS: &[Property] = &[
    ("daysOfWeek", Kind::Many(&DAY)),
    ("startTime", Kind::TimeOfDay),
    ("endTime", Kind::TimeOfDay),
    // By name, or with rules of its own.
    ("timeZone", Kind::Anything),
];
const PROPERTIES: &[Property] = &[
    ("automaticRepliesSetting", Kind::Object(REPLIES)),
    ("dateFormat", Kind::Text),
    (
        "delegateMeetingMessageDeliveryOptions",
        Kind::Choice(&[
            "sendToDelegateAndInformationToPrincipal",
            "sendToDelegateAndPrincipal",
            "sendToDelegateOnly",
        ]),
    ),
    ("language", Kind::Object(&[("locale", Kind::Text), ("displayName", Kind::Text)])),
    ("timeFormat", Kind::Text),
    ("timeZone", Kind::Zone),
    ("workingHours", Kind::Object(HOURS)),
];
const READ_ONLY: &[&str] = &["archiveFolder", "userPurpose"];
/// What Exchange calls some languages; others have the name of their locale here.
const LANGUAGES: &[(&str, &str)] = &[
    ("de-DE", "German (Germany)"),
    ("en-GB", "English (United Kingdom)"),
    ("en-US", "English (United States)"),
    ("fr-FR", "French (France)"),
    ("ja-JP", "Japanese (Japan)"),
];

/// `…/mailboxSettings`, or one of them.
pub(super) fn answer(
    desk: &Desk<'_>,
    operation: Operation,
    part: Option<&str>,
    body: &[u8],
) -> Result<Answer, GraphError> {
    let of = format!("users('{}')/mailboxSettings", desk.mailbox.id);
    if operation == Operation::SettingsPatch {
        desk.query.allow(&[])?;
        let wanted = shape::read(&object(body)?, PROPERTIES, READ_ONLY)?;
        let mut state = desk.mailbox.write();
        let mut now = everything(&state, desk.mailbox.profile.purpose);
        shape::merge(&mut now, wanted.clone());
        if let Some(locale) =
            wanted.get("language").and_then(|language| language["locale"].as_str())
        {
            // The name goes with the locale, whatever else was sent.
            let known = LANGUAGES.iter().find(|(known, _)| *known == locale);
            now["language"]["displayName"] = json!(known.map_or(locale, |(_, name)| *name));
        }
        let replies = &now["automaticRepliesSetting"];
        let bound = |name: &str| replies[name]["dateTime"].as_str().map(str::to_owned);
        if replies["status"] == "scheduled"
            && bound("scheduledStartDateTime") >= bound("scheduledEndDateTime")
        {
            return Err(GraphError::new(
                400,
                "ErrorInvalidParameter",
                "The end of the automatic replies must be after their start.",
            ));
        }
        // The answer has what was asked for, as it is now.
        now.retain(|name, _| wanted.contains_key(name));
        state.settings.mailbox.extend(now.clone());
        return Ok(whole(desk, &of, now));
    }
    desk.query.allow(&["$select"])?;
    let mut all = everything(&desk.mailbox.read(), desk.mailbox.profile.purpose);
    if let Some(part) = part {
        let name = all.keys().find(|known| known.eq_ignore_ascii_case(part)).cloned();
        let name = name.ok_or_else(|| {
            GraphError::bad_request(format!("Resource not found for the segment '{part}'."))
        })?;
        let of = format!("{of}/{name}");
        return Ok(match all.remove(&name).unwrap_or_default() {
            Value::Object(members) => whole(desk, &of, members),
            value => whole(desk, &of, Map::from_iter([("value".to_owned(), value)])),
        });
    }
    if let Some(select) = desk.query.get("$select") {
        let names: Vec<&str> = select.split(',').map(str::trim).collect();
        if let Some(unknown) = names.iter().find(|name| !all.contains_key(**name)) {
            return Err(GraphError::bad_request(format!(
                "Could not find a property named '{unknown}' on type 'microsoft.graph.mailboxSettings'."
            )));
        }
        all.retain(|name, _| names.contains(&name.as_str()));
    }
    Ok(whole(desk, &of, all))
}

/// `GET …/settings/exchange`; the archive mailbox is in the beta alone.
pub(super) fn exchange(desk: &Desk<'_>) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let mut members = Map::from_iter([(
        "primaryMailboxId".to_owned(),
        json!(exchange::mailbox_id(desk.tenant.id, desk.mailbox.id)),
    )]);
    if desk.base.is_beta() {
        let archive = desk.mailbox.archive();
        let id = archive.map(|archive| exchange::mailbox_id(desk.tenant.id, archive.id));
        members.insert("inPlaceArchiveMailboxId".to_owned(), json!(id));
    }
    Ok(whole(desk, &format!("users('{}')/settings/exchange", desk.mailbox.id), members))
}

/// All settings, with what nobody has set.
pub(crate) fn everything(state: &MailboxState, purpose: Purpose) -> Map<String, Value> {
    let archive = state.well_known(WellKnown::Archive);
    let zoned = |day: &str| json!({ "dateTime": day, "timeZone": "UTC" });
    let first = json!({
        "archiveFolder": archive.map(|number| ids::folder_id(state.mailbox, number)),
        "automaticRepliesSetting": {
            "status": "disabled",
            "externalAudience": "all",
            "internalReplyMessage": "",
            "externalReplyMessage": "",
            "scheduledStartDateTime": zoned("2026-01-05T09:00:00.0000000"),
            "scheduledEndDateTime": zoned("2026-01-06T09:00:00.0000000"),
        },
        "dateFormat": "M/d/yyyy",
        "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
        "language": { "locale": "en-US", "displayName": "English (United States)" },
        "timeFormat": "h:mm tt",
        "timeZone": "UTC",
        "userPurpose": purpose,
        "workingHours": {
            "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
            "startTime": "08:00:00.0000000",
            "endTime": "17:00:00.0000000",
            "timeZone": { "name": "UTC" },
        },
    });
    let mut all = first.as_object().cloned().unwrap_or_default();
    all.extend(state.settings.mailbox.clone());
    all
}

fn whole(desk: &Desk<'_>, of: &str, members: Map<String, Value>) -> Answer {
    let mut answer = Map::from_iter([("@odata.context".to_owned(), json!(desk.base.context(of)))]);
    answer.extend(members);
    Answer::json(Value::Object(answer).to_string().into_bytes())
}
