//! Skip and delta tokens: opaque to clients, bound to a mailbox and a folder, and refused when
//! anything about them is changed.

use std::sync::{PoisonError, RwLock};

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::errors::GraphError;
use crate::faults::Scope;

/// Seconds after which a token has expired. Exchange tells no number; what matters is that it happens.
const LIFETIME: i64 = 30 * 86_400;
const TAG: usize = 16;

/// Where a round of a delta query stands, and what was asked at its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    #[serde(rename = "m")]
    pub(crate) mailbox: Uuid,
    /// 0 for the folders of the mailbox.
    #[serde(rename = "f")]
    pub(crate) folder: u64,
    /// Whether it stands in a nextLink.
    #[serde(rename = "s")]
    pub(crate) skip: bool,
    #[serde(rename = "p")]
    pub(crate) position: u64,
    /// In a first round: the change at which it began.
    #[serde(rename = "l")]
    pub(crate) floor: u64,
    /// Selected properties.
    #[serde(rename = "v")]
    pub(crate) selection: u64,
    /// Ids of the extended properties to be expanded.
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) extended: Vec<String>,
    /// `receivedDateTime ge`, Unix time.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(crate) received_from: Option<i64>,
    /// `$top` of the first request.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub(crate) top: Option<usize>,
    /// Changes that a fault rule held back: to be told on the next page, or in the next round.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) held: Vec<u64>,
    #[serde(rename = "n", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) held_for_next_round: Vec<u64>,
    /// A fault rule had its page told twice; this is the second time.
    #[serde(rename = "a", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) again: bool,
    /// The window of a calendar view, Unix times.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<(i64, i64)>,
    /// Lines of the change behind `position` that were told already: a series has many.
    #[serde(rename = "o", default, skip_serializing_if = "is_zero")]
    pub(crate) offset: usize,
    /// How often cursors had been made to expire when it was given out; [`Sealer::seal`] sets it.
    #[serde(rename = "g", default)]
    pub(crate) generation: u64,
    /// When it was given out, Unix time.
    #[serde(rename = "i")]
    pub(crate) issued: i64,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Seals cursors; made anew with every start of the lab.
#[derive(Debug)]
pub(crate) struct Sealer {
    key: hmac::Key,
    session: [u8; 4],
    /// Whose cursors were made to expire; the place in the list is the generation that ended.
    expired: RwLock<Vec<Scope>>,
}

impl Sealer {
    pub(crate) fn new(secret: &[u8], session: u32) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            session: session.to_be_bytes(),
            expired: RwLock::default(),
        }
    }

    /// Makes all cursors expire that were given out so far and lie in the scope.
    pub(crate) fn expire(&self, scope: Scope) {
        self.expired.write().unwrap_or_else(PoisonError::into_inner).push(scope);
    }

    pub(crate) fn seal(&self, cursor: &Cursor) -> String {
        let generation = self.expired.read().unwrap_or_else(PoisonError::into_inner).len() as u64;
        let cursor = &Cursor { generation, ..cursor.clone() };
        let mut raw = self.session.to_vec();
        // A struct of numbers and strings always serialises.
        raw.extend(serde_json::to_vec(cursor).unwrap_or_default());
        let tag = hmac::sign(&self.key, &raw);
        raw.extend_from_slice(&tag.as_ref()[..TAG]);
        BASE64URL_NOPAD.encode(&raw)
    }

    /// Opens a token that must belong to this mailbox and folder and be of the given kind.
    pub(crate) fn open(
        &self,
        token: &str,
        mailbox: Uuid,
        folder: u64,
        skip: bool,
        now: i64,
    ) -> Result<Cursor, GraphError> {
        let invalid = || GraphError::new(400, "ErrorInvalidSyncStateData", "Badly formed token.");
        let raw = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| invalid())?;
        let (session, _) = raw.split_at_checked(4).ok_or_else(invalid)?;
        if session != self.session {
            // A token of an earlier run: the state that it stands for is gone.
            return Err(expired());
        }
        let (sealed, tag) =
            raw.split_at_checked(raw.len().saturating_sub(TAG)).ok_or_else(invalid)?;
        let expected = hmac::sign(&self.key, sealed);
        if sealed.len() <= 4 || tag != &expected.as_ref()[..TAG] {
            return Err(invalid());
        }
        let cursor: Cursor = serde_json::from_slice(&sealed[4..]).map_err(|_| invalid())?;
        if cursor.mailbox != mailbox || cursor.folder != folder || cursor.skip != skip {
            return Err(invalid());
        }
        let ended = self.expired.read().unwrap_or_else(PoisonError::into_inner);
        let since = usize::try_from(cursor.generation).unwrap_or(usize::MAX);
        let expires = ended.iter().skip(since).any(|scope| {
            scope.mailbox.is_none_or(|id| id == mailbox)
                && scope.folder.is_none_or(|number| number == folder)
        });
        if expires || now - cursor.issued > LIFETIME {
            return Err(expired());
        }
        Ok(cursor)
    }
}

pub(crate) fn expired() -> GraphError {
    GraphError::new(
        410,
        "syncStateNotFound",
        "The sync state generation is not found; start with a full synchronization.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_what_it_was_made_for() {
        let sealer = Sealer::new(b"secret", 1);
        let cursor = Cursor {
            mailbox: Uuid::from_u128(1),
            folder: 5,
            skip: false,
            position: 77,
            floor: 0,
            selection: 3,
            extended: vec!["Long 0xe08".into()],
            issued: 1000,
            ..Cursor::default()
        };
        let token = sealer.seal(&cursor);
        let open = |sealer: &Sealer, token: &str, mailbox, folder, skip, now| {
            sealer.open(token, Uuid::from_u128(mailbox), folder, skip, now).map_err(|e| e.status)
        };
        assert_eq!(open(&sealer, &token, 1, 5, false, 1000), Ok(cursor));
        assert_eq!(open(&sealer, &token, 2, 5, false, 1000), Err(400));
        assert_eq!(open(&sealer, &token, 1, 6, false, 1000), Err(400));
        assert_eq!(open(&sealer, &token, 1, 5, true, 1000), Err(400));
        assert_eq!(open(&sealer, &token, 1, 5, false, 1000 + LIFETIME + 1), Err(410));
        assert_eq!(open(&Sealer::new(b"secret", 2), &token, 1, 5, false, 1000), Err(410));
        for cut in [0, 3, 6, token.len() - 1] {
            assert!(open(&sealer, &token[..cut], 1, 5, false, 1000).is_err());
        }
        let mut forged = token.into_bytes();
        forged[20] ^= 1;
        let forged = String::from_utf8(forged).unwrap();
        assert!(open(&sealer, &forged, 1, 5, false, 1000).is_err());
    }

    #[test]
    fn cursors_that_were_made_to_expire_are_dead_and_later_ones_are_not() {
        let sealer = Sealer::new(b"secret", 1);
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let token = |mailbox, folder| sealer.seal(&Cursor { mailbox, folder, ..Cursor::default() });
        let open = |token: &str, mailbox, folder| {
            sealer.open(token, mailbox, folder, false, 0).map(|_| ()).map_err(|e| e.status)
        };
        let (a, b, c) = (token(one, 5), token(one, 6), token(two, 5));
        sealer.expire(Scope { mailbox: Some(one), folder: Some(5) });
        assert_eq!((open(&a, one, 5), open(&b, one, 6)), (Err(410), Ok(())));
        let renewed = token(one, 5);
        assert_eq!(open(&renewed, one, 5), Ok(()));
        sealer.expire(Scope { mailbox: Some(one), folder: None });
        assert_eq!((open(&b, one, 6), open(&c, two, 5)), (Err(410), Ok(())));
        sealer.expire(Scope { mailbox: None, folder: None });
        assert_eq!((open(&renewed, one, 5), open(&c, two, 5)), (Err(410), Err(410)));
    }
}
