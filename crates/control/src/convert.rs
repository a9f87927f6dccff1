//! Between Mailkeep's types and what both databases can hold.

use serde::{Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

use crate::ControlError;

/// Microseconds since 1970-01-01T00:00Z.
pub(crate) fn micros(time: OffsetDateTime) -> i64 {
    // The years that `OffsetDateTime` can hold (±9999) fit.
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

/// The instant that [`micros`] stored.
pub(crate) fn instant(micros: i64) -> Result<OffsetDateTime, ControlError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .map_err(|_| ControlError::Corrupt(format!("{micros} is not an instant")))
}

/// SQL has no unsigned numbers; what does not fit is past anything that exists.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The number that [`signed`] stored.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Text for people that comes from outside. PostgreSQL refuses U+0000 in text, so it becomes
/// U+FFFD on both databases.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// [`text`], cut to at most `bytes` bytes at a character's boundary.
pub(crate) fn short_text(long: &str, bytes: usize) -> String {
    text(&long[..long.floor_char_boundary(bytes)])
}

/// The name that serde gives to a variant without fields.
pub(crate) fn variant_name<T: Serialize>(variant: &T) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(name)) => name,
        // Never for an enum without fields, and those are all that this is called with.
        _ => String::new(),
    }
}

/// The variant that [`variant_name`] named.
pub(crate) fn variant<T: DeserializeOwned>(name: String) -> Result<T, ControlError> {
    serde_json::from_value(serde_json::Value::String(name)).map_err(|error| unreadable(&error))
}

/// A value as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<serde_json::Value, ControlError> {
    serde_json::to_value(value).map_err(|error| unreadable(&error))
}

/// The value that [`json`] stored.
pub(crate) fn from_json<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, ControlError> {
    serde_json::from_value(value).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> ControlError {
    ControlError::Corrupt(format!("a stored value cannot be understood: {error}"))
}
