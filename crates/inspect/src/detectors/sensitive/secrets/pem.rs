use std::ops::Range;

use mailkeep_model::Severity;

use super::{CERTAIN, Secret};

/// No private key is longer; a marker further away belongs to something else.
const LONGEST: usize = 32 << 10;

/// The fewest characters of base64 that are a key (Ed25519 in PKCS #8 has 64).
const FEWEST: usize = 40;

/// A private key between its markers (RFC 7468, OpenSSH, OpenPGP), or PuTTY's file.
pub(super) fn read(text: &str, trigger: Range<usize>) -> Option<Secret> {
    let rest =
        &text[trigger.start..text.floor_char_boundary((trigger.start + LONGEST).min(text.len()))];
    if text[trigger.clone()].starts_with("PuTTY") {
        let lines = memchr::memmem::find(rest.as_bytes(), b"Private-Lines:")?;
        let end = memchr::memmem::find(&rest.as_bytes()[lines..], b"Private-MAC:")
            .map_or(rest.len(), |offset| lines + offset);
        return Some(secret(trigger.start..trigger.start + end, Severity::High));
    }
    let label_end =
        trigger.len() + rest[trigger.len()..].find("-----").filter(|&length| length < 40)?;
    let label = &rest[trigger.len()..label_end];
    if !label.contains("PRIVATE KEY") {
        return None;
    }
    let body = &rest[label_end + 5..];
    // Cut off: to the end of what looks like one. No line of a key has five dashes.
    let end = body.find("-----").unwrap_or(body.len());
    let closing = body[end..].strip_prefix("-----END ").and_then(|tail| {
        let length = tail.find("-----").filter(|&length| length < 40)?;
        Some("-----END ".len() + length + 5)
    });
    let key = &body[..end];
    let encoded = key
        .bytes()
        .filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
        .count();
    let foreign = key.bytes().filter(|b| !b.is_ascii()).count();
    if encoded < FEWEST || foreign > 0 {
        return None;
    }
    let end = label_end
        + 5
        + match closing {
            Some(closing) => end + closing,
            None => key.trim_end().len().min(FEWEST * 100),
        };
    // Under a password of its own it is of use only to who has that.
    let encrypted = label.contains("ENCRYPTED") || key.contains("ENCRYPTED");
    let severity = if encrypted { Severity::Medium } else { Severity::High };
    Some(secret(trigger.start..trigger.start + end, severity))
}

fn secret(place: Range<usize>, severity: Severity) -> Secret {
    Secret {
        place,
        entity: "SECRET_PRIVATE_KEY",
        title: "private key",
        severity,
        certainty: CERTAIN,
    }
}
