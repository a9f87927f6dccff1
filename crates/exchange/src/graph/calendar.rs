use std::collections::HashSet;

use mailkeep_model::{
    Cursor, Folder, FolderId, FolderKind, Item, ItemId, Mailbox, Page, WellKnownFolder,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    attachments,
    client::{Ask, GraphProvider},
    events::{self, SINGLE, TOLD, TYPE, ZONE, parse_events_page},
    pages::{all_pages, page},
    refusal::is_unknown_zone,
    wire_outlook::{Calendar, Identified},
    zones,
};
use crate::{Details, ExchangeError};

/// The right that reading calendars needs.
pub(super) const CALENDARS_READ: &str = "Calendars.Read";

/// What is asked of each event of a list; the rest takes a request each.
const LISTED: &str = "id,changeKey,subject,start,originalStartTimeZone,type,createdDateTime,\
    lastModifiedDateTime,categories,importance,organizer,isDraft";
const SELECT: &str = "id,createdDateTime,lastModifiedDateTime,changeKey,categories,transactionId,\
    originalStartTimeZone,originalEndTimeZone,iCalUId,reminderMinutesBeforeStart,isReminderOn,\
    hasAttachments,subject,body,importance,sensitivity,isAllDay,isCancelled,isOrganizer,isDraft,\
    responseRequested,seriesMasterId,showAs,type,webLink,onlineMeetingUrl,isOnlineMeeting,\
    onlineMeetingProvider,onlineMeeting,allowNewTimeProposals,hideAttendees,recurrence,\
    responseStatus,start,end,location,locations,attendees,organizer,originalStart";
/// What a series has beside that: told only by `Get event`, and only when named.
const SERIES: &str = "exceptionOccurrences,cancelledOccurrences";
/// Events, or calendars, a page.
const PAGE: &str = "500";

/// Graph: `List calendars`.
pub(super) async fn folders(
    graph: &GraphProvider,
    mailbox: &Mailbox,
) -> Result<Vec<Folder>, ExchangeError> {
    let action = format!("{}: listing the calendars", mailbox.address);
    let path = ["users", &mailbox.id.0, "calendars"];
    let select = ("$select", "id,name,isDefaultCalendar,canEdit,owner");
    let url = graph.url(&path, &[select, ("$top", PAGE)]);
    let ask = Ask { action, right: CALENDARS_READ, mailbox: Some(mailbox), url, prefer: None };
    let calendars: Vec<Calendar> = all_pages(graph, ask).await?;
    let default = match calendars.iter().find(|one| one.is_default_calendar == Some(true)) {
        Some(default) => default.id.clone(),
        None => default_calendar(graph, mailbox).await?,
    };
    Ok(own(calendars, &default, mailbox))
}

/// Graph: `List events` of one calendar: single events and series, in UTC. There is no delta of
/// a whole calendar (`event: delta` sees a window of the default one), so a pass lists all of it.
pub(super) async fn changes(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &FolderId,
    cursor: Option<&Cursor>,
) -> Result<Page<Item, ItemId>, ExchangeError> {
    let action = format!("{}: reading the events of a calendar", mailbox.address);
    let url = match cursor {
        Some(Cursor(link)) => graph.link(&action, link)?,
        None => {
            let path = ["users", &mailbox.id.0, "calendars", &folder.0, "events"];
            graph.url(&path, &[("$select", LISTED), ("$top", PAGE)])
        }
    };
    let ask = Ask { action, right: CALENDARS_READ, mailbox: Some(mailbox), url, prefer: None };
    let body = page(graph, &ask).await?;
    parse_events_page(&body, folder).map_err(|error| graph.explained(&ask, error))
}

/// Graph: `Get event`, and the calendar that it lies in.
pub(super) async fn find(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<Option<Item>, ExchangeError> {
    let Some(event) =
        found(event::<Value>(graph, mailbox, id, &[("$select", LISTED)], None).await)?
    else {
        return Ok(None);
    };
    let action = format!("{}: looking for an event's calendar", mailbox.address);
    let path = ["users", &mailbox.id.0, "events", &id.0, "calendar"];
    let url = graph.url(&path, &[("$select", "id")]);
    let ask = Ask { action, right: CALENDARS_READ, mailbox: Some(mailbox), url, prefer: None };
    // An event that lies in no calendar was deleted.
    let Some(calendar) = found(graph.json::<Identified>(&ask).await)? else { return Ok(None) };
    let item = events::listed(&event, &FolderId(calendar.id));
    item.map(Some).map_err(|reason| ExchangeError::protocol(READING, reason))
}

/// Graph: `Get event` with all it has, on the clock that its author looked at, and its
/// attachments.
pub(super) async fn details(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    item: &Item,
) -> Result<Details, ExchangeError> {
    let told = |key: &str| {
        let before = item.provider.get(TOLD).and_then(|told| told.get(key));
        item.provider.get(key).or(before).and_then(Value::as_str)
    };
    let both = format!("{SELECT},{SERIES}");
    let query: &[(&str, &str)] = if told(TYPE) == Some(SINGLE) {
        &[("$select", SELECT)]
    } else {
        &[("$select", &both), ("$expand", "exceptionOccurrences")]
    };
    let zone = told(ZONE).and_then(zones::preference);
    let (mut event, zone) = match event(graph, mailbox, &item.id, query, zone.clone()).await {
        // A zone that somebody's program made up. In UTC everything is there but the clock.
        // Whatever else is refused may come with the next try, and then whole.
        Err(error) if zone.is_some() && is_unknown_zone(&error) => {
            (event(graph, mailbox, &item.id, query, None).await?, None)
        }
        other => (other?, zone),
    };
    add_exceptions(graph, mailbox, &mut event, zone).await?;
    let listed = listed_like(graph, mailbox, item, &event).await?;
    let has_attachments = event["hasAttachments"].as_bool().unwrap_or_default()
        // Pictures in the text do not count as attachments.
        || event["body"]["content"].as_str().is_some_and(|text| text.contains("cid:"));
    let exceptions = attachments::of_exceptions(&event);
    let mut full = events::event_item(event, &listed)
        .map_err(|reason| ExchangeError::protocol(READING, reason))?;
    let (attachments, room) =
        attachments::read(graph, mailbox, &mut full, has_attachments, &exceptions).await?;
    Ok(Details { item: full, attachments, room })
}

/// `None` for what is not there.
pub(super) fn found<T>(answer: Result<T, ExchangeError>) -> Result<Option<T>, ExchangeError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(ExchangeError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

const READING: &str = "reading an event";

async fn event<T: DeserializeOwned>(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
    query: &[(&str, &str)],
    prefer: Option<String>,
) -> Result<T, ExchangeError> {
    let action = format!("{}: {READING}", mailbox.address);
    let url = graph.url(&["users", &mailbox.id.0, "events", &id.0], query);
    let ask = Ask { action, right: CALENDARS_READ, mailbox: Some(mailbox), url, prefer };
    graph.json(&ask).await
}

/// The item with the start, in UTC, of just the state that `event` is in. It was listed with one;
/// only an event that was changed since has to be asked again.
async fn listed_like(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    item: &Item,
    told: &Value,
) -> Result<Item, ExchangeError> {
    let same = told["changeKey"].as_str() == Some(item.content_key.as_str());
    if same || told["start"]["timeZone"].as_str().is_none_or(zones::is_utc) {
        return Ok(item.clone());
    }
    let query = [("$select", LISTED)];
    let now = event::<Value>(graph, mailbox, &item.id, &query, None).await?;
    events::listed(&now, &item.folder).map_err(|reason| ExchangeError::protocol(READING, reason))
}

/// Further pages of the exceptions of a series that has many.
async fn add_exceptions(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    event: &mut Value,
    prefer: Option<String>,
) -> Result<(), ExchangeError> {
    let Value::Object(told) = event else { return Ok(()) };
    let Some(Value::String(link)) = told.remove("exceptionOccurrences@odata.nextLink") else {
        return Ok(());
    };
    let action = format!("{}: reading the changed occurrences of a series", mailbox.address);
    let url = graph.link(&action, &link)?;
    let ask = Ask { action, right: CALENDARS_READ, mailbox: Some(mailbox), url, prefer };
    let more: Vec<Value> = all_pages(graph, ask).await?;
    if let Some(Value::Array(exceptions)) = told.get_mut("exceptionOccurrences") {
        exceptions.extend(more);
    }
    Ok(())
}

async fn default_calendar(
    graph: &GraphProvider,
    mailbox: &Mailbox,
) -> Result<String, ExchangeError> {
    let action = format!("{}: looking for the default calendar", mailbox.address);
    let url = graph.url(&["users", &mailbox.id.0, "calendar"], &[("$select", "id")]);
    let ask = Ask { action, right: CALENDARS_READ, mailbox: Some(mailbox), url, prefer: None };
    Ok(graph.json::<Identified>(&ask).await?.id)
}

/// The calendars that belong to the mailbox: not what others share, nor what the provider fills.
fn own(calendars: Vec<Calendar>, default: &str, mailbox: &Mailbox) -> Vec<Folder> {
    let owner = |calendar: &Calendar| {
        let address = calendar.owner.as_ref()?.address.as_deref()?;
        (!address.is_empty()).then(|| address.to_lowercase())
    };
    // Graph may name the owner by another address than the directory does, but by the same one
    // for all of them.
    let same = calendars.iter().find(|one| one.id == default).and_then(owner);
    let default_id = FolderId(default.to_owned());
    let mut seen = HashSet::new();
    let mut folders = Vec::new();
    for calendar in calendars {
        let is_default = calendar.id == default;
        let owner = owner(&calendar);
        let foreign = owner.is_some() && owner != same;
        let foreign = foreign && owner.as_deref() != Some(mailbox.address.as_str());
        let read_only = calendar.can_edit == Some(false);
        if !is_default && (foreign || read_only) {
            tracing::info!(
                mailbox = mailbox.address.as_str(),
                calendar = calendar.id,
                reason = if foreign { "belongs to somebody else" } else { "is read-only" },
                "calendar left out"
            );
            continue;
        }
        if !seen.insert(calendar.id.clone()) {
            continue;
        }
        folders.push(Folder {
            id: FolderId(calendar.id),
            parent: (!is_default).then(|| default_id.clone()),
            name: calendar.name.unwrap_or_default(),
            kind: FolderKind::Calendar,
            well_known: is_default.then_some(WellKnownFolder::Calendar),
        });
    }
    folders
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn own_calendars_are_kept_and_shared_and_generated_ones_left_out() {
        let mailbox = Mailbox {
            id: mailkeep_model::MailboxId("u".into()),
            address: "ann@story.example".parse().unwrap(),
            display_name: "Ann".into(),
        };
        let by = |address: &str| json!({"name": "x", "address": address});
        let listed = json!([
            {"id": "team", "name": "Team", "canEdit": true, "owner": by("Ann@Story.example")},
            {"id": "main", "name": "Kalender", "canEdit": false, "owner": by("ann@old.example")},
            {"id": "side", "name": "Side/way", "canEdit": true, "owner": by("ann@old.example")},
            {"id": "bare", "name": null},
            {"id": "bob", "name": "Bob", "canEdit": true, "owner": by("bob@story.example")},
            {"id": "days", "name": "Birthdays", "canEdit": false, "owner": by("ann@old.example")},
            {"id": "team", "name": "Team", "canEdit": true, "owner": by("Ann@Story.example")},
        ]);
        let folders = own(serde_json::from_value(listed).unwrap(), "main", &mailbox);
        let ids: Vec<_> = folders.iter().map(|folder| folder.id.0.as_str()).collect();
        assert_eq!(ids, ["team", "main", "side", "bare"]);
        let main = &folders[1];
        assert_eq!((main.well_known, &main.parent), (Some(WellKnownFolder::Calendar), &None));
        assert_eq!((main.name.as_str(), main.kind), ("Kalender", FolderKind::Calendar));
        assert_eq!((folders[2].well_known, &folders[2].parent), (None, &Some(main.id.clone())));
    }
}
