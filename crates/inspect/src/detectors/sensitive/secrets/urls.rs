//! Secrets in addresses.

use std::ops::Range;

use mailkeep_model::Severity;

use super::{CERTAIN, SAID, Secret, value};

/// `scheme://user:password@host` (RFC 3986, section 3.2.1, which advises against it), connection
/// strings of databases and queues included.
pub(super) fn credentials(text: &str, trigger: Range<usize>) -> Option<Secret> {
    const LONGEST: usize = 200;
    let rest = &text.as_bytes()[trigger.end..(trigger.end + LONGEST).min(text.len())];
    let end = rest
        .iter()
        .position(|b| {
            b.is_ascii_whitespace()
                || matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b')')
        })
        .unwrap_or(rest.len());
    let at = memchr::memrchr(b'@', &rest[..end])?;
    let user_info = text.get(trigger.end..trigger.end + at)?;
    let (user, password) = user_info.split_once(':')?;
    let host = rest.get(at + 1)?;
    let said =
        password.len() >= 3 && !value::is_placeholder(password) && !user.contains(['@', ' ']);
    if !said || !(host.is_ascii_alphanumeric() || *host == b'[') {
        return None;
    }
    // A host in front of the "@" is a disguise, which is another detector's.
    if user.contains("www.") || user.contains(".com") {
        return None;
    }
    let start = trigger.end + user.len() + 1;
    Some(Secret {
        place: start..trigger.end + at,
        entity: "SECRET_URL_CREDENTIALS",
        title: "password in an address",
        severity: Severity::High,
        certainty: SAID,
    })
}

/// An address that lets everybody who knows it write into a channel.
pub(super) fn webhook(text: &str, trigger: Range<usize>) -> Option<Secret> {
    let tail = text.as_bytes()[trigger.end..]
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'@'))
        .count();
    let path = &text[trigger.end..trigger.end + tail];
    // The secret is the last part.
    let last = path.trim_end_matches('/').rsplit('/').next()?;
    let good = last.len() >= 20 && value::is_random(last) && !value::is_placeholder(path);
    good.then(|| {
        let end = trigger.end + path.trim_end_matches('/').len();
        Secret {
            place: trigger.start..end,
            entity: "SECRET_WEBHOOK",
            title: "webhook",
            severity: Severity::Medium,
            certainty: CERTAIN,
        }
    })
}
