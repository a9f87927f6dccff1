use std::fmt;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;

use crate::{Dictionary, ExactList, Feeds, Scanned, Sender};

/// What inspection takes from outside; it asks nobody for anything.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Context<'a> {
    /// The present, UTC. Detectors that reason about time read it here and nowhere else.
    pub now: OffsetDateTime,
    /// The organisation's own domains; subdomains are included, case does not matter. A link
    /// that shows one of them and leads elsewhere is graded higher.
    pub own_domains: &'a [String],
    /// Domains of those that the organisation works with: names that play on theirs are graded as
    /// those that play on its own.
    pub partner_domains: &'a [String],
    /// People whose names are used to deceive others.
    pub executives: &'a [Executive],
    /// Lists of what is known to be bad.
    pub feeds: Option<&'a Feeds>,
    /// The mailbox that sent the message, where it is one that we know.
    pub sender: Option<Sender<'a>>,
    /// The key under which sensitive values become correlatable but not readable.
    pub mask_key: &'a MaskKey,
    /// What scanners outside say of the message.
    pub scanned: Option<&'a Scanned>,
    /// Phrases that the organisation named.
    pub dictionaries: &'a [Dictionary],
    /// Values of the organisation's own records.
    pub lists: &'a [ExactList],
    /// How much is inspected.
    pub limits: Limits,
}

impl<'a> Context<'a> {
    /// A context with the default [`Limits`].
    pub fn new(now: OffsetDateTime, own_domains: &'a [String], mask_key: &'a MaskKey) -> Self {
        Self {
            now,
            own_domains,
            partner_domains: &[],
            executives: &[],
            feeds: None,
            sender: None,
            mask_key,
            scanned: None,
            dictionaries: &[],
            lists: &[],
            limits: Limits::default(),
        }
    }

    /// The same context with what scanners outside say of the message.
    #[must_use]
    pub fn with_scanned(self, scanned: &'a Scanned) -> Self {
        Self { scanned: Some(scanned), ..self }
    }

    /// The same context with domains of partners.
    #[must_use]
    pub fn with_partners(self, partner_domains: &'a [String]) -> Self {
        Self { partner_domains, ..self }
    }

    /// The same context with people whose names are used to deceive others.
    #[must_use]
    pub fn with_executives(self, executives: &'a [Executive]) -> Self {
        Self { executives, ..self }
    }

    /// The same context with lists of what is known to be bad.
    #[must_use]
    pub fn with_feeds(self, feeds: &'a Feeds) -> Self {
        Self { feeds: Some(feeds), ..self }
    }

    /// The same context with the mailbox that sent the message.
    #[must_use]
    pub fn with_sender(self, sender: Sender<'a>) -> Self {
        Self { sender: Some(sender), ..self }
    }

    /// The same context with these dictionaries.
    #[must_use]
    pub fn with_dictionaries(self, dictionaries: &'a [Dictionary]) -> Self {
        Self { dictionaries, ..self }
    }

    /// The same context with these lists.
    #[must_use]
    pub fn with_lists(self, lists: &'a [ExactList]) -> Self {
        Self { lists, ..self }
    }

    /// The same context with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

/// A person whose name is used to deceive others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executive {
    /// First and last name; order, case and initials do not matter.
    pub name: String,
    /// The addresses that are theirs.
    pub addresses: Vec<String>,
}

/// How much of a message is inspected. What lies behind a limit is named in the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the message; a longer one is read up to here.
    pub message_bytes: usize,
    /// Levels of multipart, message and archive in one another.
    pub mime_depth: usize,
    /// MIME parts, of all levels together.
    pub parts: usize,
    /// Bytes of decoded text, of all fields together.
    pub text_bytes: usize,
    /// Links, of all fields together.
    pub links: usize,
    /// Files: attachments and what is unpacked from them.
    pub objects: usize,
    /// Bytes that are unpacked, of all files together.
    pub unpacked_bytes: usize,
    /// Bytes of a link's visible text that are looked at.
    pub link_text_bytes: usize,
    /// Findings that are reported.
    pub findings: usize,
}

impl Default for Limits {
    /// Generous for real mail (the largest of 27,000 measured has 70 parts and 5 levels), small
    /// enough that a hostile message costs about a second and some tens of megabytes.
    fn default() -> Self {
        Self {
            message_bytes: 32 << 20,
            mime_depth: 24,
            parts: 1_000,
            text_bytes: 16 << 20,
            links: 5_000,
            objects: 1_000,
            unpacked_bytes: 64 << 20,
            link_text_bytes: 2_048,
            findings: 500,
        }
    }
}

/// Makes evidence of sensitive values comparable without making it readable: equal values give
/// equal marks under one key, and without the key a mark cannot be tested against guesses (there
/// are few enough card numbers to try them all against a plain hash).
///
/// One per tenant, from the signer's sealed store; it prints as `[redacted]`.
#[derive(Clone)]
pub struct MaskKey(Hmac<Sha256>);

impl MaskKey {
    /// A key from 32 bytes of good randomness.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length (RFC 2104)"))
    }

    /// The mark of a value: 12 hexadecimal digits of HMAC-SHA-256 over the kind and the value.
    pub(crate) fn mark(&self, kind: &str, value: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(kind.as_bytes());
        mac.update(b"\0");
        mac.update(value.as_bytes());
        HEXLOWER.encode(&mac.finalize().into_bytes()[..6])
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_correlate_under_one_key_only() {
        let (one, two) = (MaskKey::from_bytes([1; 32]), MaskKey::from_bytes([2; 32]));
        assert_eq!(one.mark("CARD", "4111"), one.mark("CARD", "4111"));
        assert_ne!(one.mark("CARD", "4111"), one.mark("CARD", "4112"));
        assert_ne!(one.mark("CARD", "4111"), one.mark("IBAN", "4111"));
        assert_ne!(one.mark("CARD", "4111"), two.mark("CARD", "4111"));
        assert_eq!(format!("{one:?}"), "[redacted]");
    }
}
