//! Bodies of requests, read by tables: which properties a type has and what they hold.

use serde_json::{Map, Value, json};

use super::errors::GraphError;
use crate::clock;
use crate::state::Zone;

/// What a property holds. Null takes its value away.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Truth,
    /// `Edm.Int32`
    Number,
    /// `Edm.DateTimeOffset`
    Time,
    /// `Edm.TimeOfDay`
    TimeOfDay,
    /// `dateTimeTimeZone`
    ZonedTime,
    /// The name of a time zone.
    Zone,
    /// One of these names, in any case.
    Choice(&'static [&'static str]),
    Many(&'static Kind),
    Object(&'static [Property]),
    /// Of a type that the lab hands on as it is.
    Anything,
}

/// A name and what it holds.
pub(super) type Property = (&'static str, Kind);

const EMAIL_ADDRESS: &[Property] = &[("name", Kind::Text), ("address", Kind::Text)];
/// `recipient`
pub(super) const RECIPIENT: Kind = Kind::Object(&[("emailAddress", Kind::Object(EMAIL_ADDRESS))]);
/// `importance`
pub(super) const IMPORTANCE: Kind = Kind::Choice(&["low", "normal", "high"]);
/// `dayOfWeek`
pub(super) const DAY: Kind =
    Kind::Choice(&["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]);

/// The properties in a body, written as Graph writes them. What is in `read_only` is refused, what
/// is nowhere as well; annotations are left out.
pub(super) fn read(
    body: &Map<String, Value>,
    properties: &[Property],
    read_only: &[&str],
) -> Result<Map<String, Value>, GraphError> {
    let mut found = Map::new();
    for (name, value) in body.iter().filter(|(name, _)| !name.starts_with("@odata.")) {
        if read_only.contains(&name.as_str()) {
            return Err(GraphError::new(
                400,
                "ErrorInvalidPropertySet",
                format!("The property '{name}' is read-only and cannot be set."),
            ));
        }
        let Some((_, kind)) = properties.iter().find(|(known, _)| known == name) else {
            return Err(GraphError::bad_request(format!(
                "The property '{name}' does not exist or cannot be set here. Make sure to only use \
                 property names that are defined by the type."
            )));
        };
        found.insert(name.clone(), value_of(*kind, name, value)?);
    }
    Ok(found)
}

/// Writes what was read over what was there. Objects in it are completed, not replaced.
pub(super) fn merge(there: &mut Map<String, Value>, read: Map<String, Value>) {
    for (name, value) in read {
        match (there.get_mut(&name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => {
                there.insert(name, value);
            }
        }
    }
}

fn value_of(kind: Kind, name: &str, value: &Value) -> Result<Value, GraphError> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let wrong = || {
        GraphError::new(
            400,
            "RequestBodyRead",
            format!("The value of the property '{name}' is not of the expected type."),
        )
    };
    let text = || value.as_str().ok_or_else(wrong);
    match kind {
        Kind::Anything => Ok(value.clone()),
        Kind::Text => text().map(|text| json!(text)),
        Kind::Truth => value.as_bool().map(|truth| json!(truth)).ok_or_else(wrong),
        Kind::Number => {
            let number = value.as_i64().filter(|number| i32::try_from(*number).is_ok());
            number.map(|number| json!(number)).ok_or_else(wrong)
        }
        Kind::Time => {
            let at = clock::parse_rfc3339(text()?).ok_or_else(wrong)?;
            Ok(json!(clock::iso(at.unix_timestamp())))
        }
        Kind::TimeOfDay => {
            let (time, fraction) = text()?.split_once('.').unwrap_or((text()?, "0"));
            let mut parts = time.split(':').map(|part| part.parse::<u8>().ok());
            let fits = matches!(
                (parts.next(), parts.next(), parts.next(), parts.next()),
                (Some(Some(0..24)), Some(Some(0..60)), Some(Some(0..60)), None)
            );
            let digits = fraction.len() <= 7 && fraction.bytes().all(|b| b.is_ascii_digit());
            (fits && digits).then(|| json!(format!("{time}.{fraction:0<7}"))).ok_or_else(wrong)
        }
        Kind::Zone => {
            let zone = Zone::find(text()?).ok_or_else(|| {
                GraphError::new(
                    400,
                    "TimeZoneNotSupportedException",
                    format!("A valid TimeZone value must be specified, not {value}."),
                )
            })?;
            Ok(json!(zone.name))
        }
        Kind::ZonedTime => {
            let given = value.as_object().ok_or_else(wrong)?;
            let both = [("dateTime", Kind::Text), ("timeZone", Kind::Zone)];
            let read = read(given, &both, &[])?;
            let whole = read.get("dateTime").and_then(Value::as_str);
            let whole = whole.filter(|at| clock::parse_rfc3339(&format!("{at}Z")).is_some());
            let at = whole.filter(|_| read.contains_key("timeZone")).ok_or_else(wrong)?;
            let (second, fraction) = at.split_once('.').unwrap_or((at, "0"));
            Ok(
                json!({ "dateTime": format!("{second}.{fraction:0<7}"), "timeZone": read["timeZone"] }),
            )
        }
        Kind::Choice(names) => {
            let text = text()?;
            let known = names.iter().find(|known| known.eq_ignore_ascii_case(text));
            known.map(|known| json!(known)).ok_or_else(wrong)
        }
        Kind::Many(kind) => {
            let list = value.as_array().ok_or_else(wrong)?;
            let list: Result<Vec<Value>, GraphError> =
                list.iter().map(|one| value_of(*kind, name, one)).collect();
            Ok(json!(list?))
        }
        Kind::Object(properties) => {
            let object = value.as_object().ok_or_else(wrong)?;
            Ok(Value::Object(read(object, properties, &[])?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_as_the_type_has_it_or_refused() {
        const TYPE: &[Property] = &[
            ("name", Kind::Text),
            ("status", Kind::Choice(&["alwaysEnabled", "disabled"])),
            ("days", Kind::Many(&DAY)),
            ("at", Kind::TimeOfDay),
            ("start", Kind::ZonedTime),
            ("to", Kind::Many(&RECIPIENT)),
        ];
        let read = |body: Value| read(body.as_object().unwrap(), TYPE, &["id"]);
        let good = read(json!({
            "@odata.type": "x",
            "status": "AlwaysEnabled",
            "days": ["Monday"],
            "at": "08:00:00",
            "start": { "dateTime": "2026-11-24T08:00:00", "timeZone": "utc" },
            "to": [{ "emailAddress": { "address": "a@b.example" } }],
            "name": null,
        }));
        assert_eq!(
            Value::Object(good.unwrap()),
            json!({
                "status": "alwaysEnabled",
                "days": ["monday"],
                "at": "08:00:00.0000000",
                "start": { "dateTime": "2026-11-24T08:00:00.0000000", "timeZone": "UTC" },
                "to": [{ "emailAddress": { "address": "a@b.example" } }],
                "name": null,
            })
        );
        for bad in [
            json!({ "id": "1" }),
            json!({ "unknown": 1 }),
            json!({ "name": 1 }),
            json!({ "status": "sometimes" }),
            json!({ "days": "monday" }),
            json!({ "at": "24:00:00" }),
            json!({ "start": { "dateTime": "tomorrow", "timeZone": "UTC" } }),
            json!({ "start": { "dateTime": "2026-11-24T08:00:00" } }),
            json!({ "start": { "dateTime": "2026-11-24T08:00:00", "timeZone": "Mars" } }),
            json!({ "to": [{ "address": "a@b.example" }] }),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
