use mailkeep_model::{Attachment, AttachmentInfo, Event};

use super::text::{Line, unfold};
use crate::VaultError;

/// The attachments inside an event's content, as [`super::icalendar`] wrote it, with what the
/// event's description says of each.
///
/// # Errors
/// [`VaultError::Content`] when they are not those that the description names.
pub fn attachments_in_icalendar(ics: &[u8], event: &Event) -> Result<Vec<Attachment>, VaultError> {
    let mut found = Vec::new();
    let mut events = 0;
    let mut whole = false;
    unfold(ics, |line| {
        let Some(line) = Line::parse(line) else { return };
        if line.is("BEGIN") && line.value == b"VEVENT" {
            events += 1;
        }
        whole |= line.is("END") && line.value == b"VEVENT";
        // The first is the event itself, the others are occurrences of it.
        let binary = |line: &Line<'_>| {
            line.parameter("ENCODING").is_some_and(|value| value.eq_ignore_ascii_case("BASE64"))
        };
        if events == 1 && line.is("ATTACH") && binary(&line) {
            found.push(line.base64());
        }
    });
    if !whole {
        return Err(VaultError::Content { what: "the event breaks off".to_owned() });
    }
    let wanted = &event.attachments;
    if found.len() != wanted.len() {
        let what = format!("{} attachments instead of {}", found.len(), wanted.len());
        return Err(VaultError::Content { what });
    }
    found
        .into_iter()
        .zip(wanted)
        .map(|(bytes, info)| match bytes {
            Some(bytes) => Ok(Attachment { info: info.clone(), bytes }),
            None => {
                Err(VaultError::Content { what: format!("attachment '{}' is damaged", info.name) })
            }
        })
        .collect()
}

/// The photograph inside a contact's content, as [`super::vcard`] wrote it; `None` when there is
/// none, or none that can be read.
pub fn photo_in_vcard(vcf: &[u8]) -> Option<Attachment> {
    let mut found = None;
    let mut whole = false;
    unfold(vcf, |line| {
        let Some(line) = Line::parse(line) else { return };
        whole |= line.is("END") && line.value == b"VCARD";
        if found.is_some() || !line.is("PHOTO") {
            return;
        }
        let encoding = line.parameter("ENCODING").unwrap_or_default();
        if !encoding.eq_ignore_ascii_case("b") {
            return;
        }
        let content_type = match line.parameter("TYPE") {
            Some(kind) => format!("image/{}", kind.to_ascii_lowercase()),
            None => String::new(),
        };
        let info = AttachmentInfo { content_type, ..AttachmentInfo::default() };
        found = line.base64().map(|bytes| Attachment { info, bytes });
    });
    found.filter(|_| whole)
}

/// A calendar taken apart, to be put together with others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CalendarParts {
    /// Zones by `TZID` line: their observances, each from `BEGIN` to `END`.
    pub(crate) zones: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// All events, as they stand.
    pub(crate) events: Vec<u8>,
}

impl CalendarParts {
    /// From a calendar that [`super::icalendar`] wrote; `None` when it is something else.
    pub(crate) fn of(ics: &[u8]) -> Option<Self> {
        let mut parts = Self::default();
        let mut component = Component::Calendar;
        let mut observance: Option<Vec<u8>> = None;
        let mut whole = false;
        for line in ics.split_inclusive(|byte| *byte == b'\n') {
            match (&component, line) {
                (Component::Calendar, b"BEGIN:VTIMEZONE\r\n") => {
                    parts.zones.push((Vec::new(), Vec::new()));
                    component = Component::Zone;
                }
                (Component::Calendar, b"BEGIN:VEVENT\r\n") => {
                    parts.events.extend_from_slice(line);
                    component = Component::Event;
                }
                (Component::Calendar, b"END:VCALENDAR\r\n") => whole = true,
                (Component::Calendar, _) => {}
                (Component::Zone, b"END:VTIMEZONE\r\n") => component = Component::Calendar,
                (Component::Zone, line) => {
                    let (id, observances) = parts.zones.last_mut()?;
                    match &mut observance {
                        None if line.starts_with(b"BEGIN:") => observance = Some(line.to_vec()),
                        None => id.extend_from_slice(line),
                        Some(text) => {
                            text.extend_from_slice(line);
                            if line.starts_with(b"END:") {
                                observances.extend(observance.take());
                            }
                        }
                    }
                }
                (Component::Event, line) => {
                    parts.events.extend_from_slice(line);
                    if line == b"END:VEVENT\r\n" {
                        component = Component::Calendar;
                    }
                }
            }
        }
        (whole && !parts.events.is_empty()).then_some(parts)
    }
}

enum Component {
    Calendar,
    Zone,
    Event,
}
