use mailkeep_model::{Attachment, AttachmentInfo};

use super::text::{Line, unfold};
use crate::VaultError;

/// The attachments inside the content of an event or a task, as [`super::icalendar`] and
/// [`super::todo`] wrote it, with what its description says of each.
///
/// # Errors
/// [`VaultError::Content`] when they are not those that the description names.
pub fn attachments_in_icalendar(
    ics: &[u8],
    wanted: &[AttachmentInfo],
) -> Result<Vec<Attachment>, VaultError> {
    let mut found = Vec::new();
    let mut components = 0;
    let mut whole = false;
    let is_item = |line: &Line<'_>| matches!(line.value, b"VEVENT" | b"VTODO");
    unfold(ics, |line| {
        let Some(line) = Line::parse(line) else { return };
        if line.is("BEGIN") && is_item(&line) {
            components += 1;
        }
        whole |= line.is("END") && is_item(&line);
        // The first is the item itself, the others are occurrences of it.
        let binary = |line: &Line<'_>| {
            line.parameter("ENCODING").is_some_and(|value| value.eq_ignore_ascii_case("BASE64"))
        };
        if components == 1 && line.is("ATTACH") && binary(&line) {
            found.push(line.base64());
        }
    });
    if !whole {
        return Err(VaultError::Content { what: "the calendar breaks off".to_owned() });
    }
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
    /// All events and tasks, as they stand.
    pub(crate) items: Vec<u8>,
}

impl CalendarParts {
    /// From a calendar that [`super::icalendar`] or [`super::todo`] wrote; `None` when it is
    /// something else.
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
                (Component::Calendar, b"BEGIN:VEVENT\r\n" | b"BEGIN:VTODO\r\n") => {
                    parts.items.extend_from_slice(line);
                    component = Component::Item;
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
                (Component::Item, line) => {
                    parts.items.extend_from_slice(line);
                    if matches!(line, b"END:VEVENT\r\n" | b"END:VTODO\r\n") {
                        component = Component::Calendar;
                    }
                }
            }
        }
        (whole && !parts.items.is_empty()).then_some(parts)
    }
}

enum Component {
    Calendar,
    Zone,
    Item,
}
