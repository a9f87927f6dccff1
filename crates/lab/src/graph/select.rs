//! `$select` and `$expand`: which properties an answer has.

use super::errors::GraphError;
use super::query::{split_top, split_words};

/// Properties of a message, in the order in which they are written. `id` is always there.
const MESSAGE: &[&str] = &[
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "categories",
    "receivedDateTime",
    "sentDateTime",
    "hasAttachments",
    "internetMessageId",
    "subject",
    "bodyPreview",
    "importance",
    "parentFolderId",
    "conversationId",
    "conversationIndex",
    "isDeliveryReceiptRequested",
    "isReadReceiptRequested",
    "isRead",
    "isDraft",
    "webLink",
    "inferenceClassification",
    "body",
    "sender",
    "from",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "replyTo",
    "flag",
    // Only when asked for.
    "internetMessageHeaders",
    "uniqueBody",
];
const MESSAGE_DEFAULT: usize = 28;

const FOLDER: &[&str] = &[
    "displayName",
    "parentFolderId",
    "childFolderCount",
    "unreadItemCount",
    "totalItemCount",
    "isHidden",
];

/// Properties of a user that the lab has something for, and others that are null in it.
const USER: &[&str] = &[
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    // Only when asked for.
    "accountEnabled",
    "city",
    "companyName",
    "country",
    "createdDateTime",
    "department",
    "employeeId",
    "mailNickname",
    "otherMails",
    "proxyAddresses",
    "usageLocation",
    "userType",
];
const USER_DEFAULT: usize = 10;

/// A set of properties of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    names: &'static [&'static str],
    pub(crate) bits: u32,
    /// Nothing was selected, so that the context does not list properties.
    all: bool,
}

impl Selection {
    pub(crate) fn message(select: Option<&str>) -> Result<Self, GraphError> {
        Self::parse(select, MESSAGE, MESSAGE_DEFAULT, "microsoft.graph.message")
    }

    pub(crate) fn folder(select: Option<&str>) -> Result<Self, GraphError> {
        Self::parse(select, FOLDER, FOLDER.len(), "microsoft.graph.mailFolder")
    }

    pub(crate) fn user(select: Option<&str>) -> Result<Self, GraphError> {
        Self::parse(select, USER, USER_DEFAULT, "microsoft.graph.user")
    }

    /// A message selection as a token carries it.
    pub(crate) fn message_bits(bits: u32) -> Self {
        Self { names: MESSAGE, bits, all: bits == mask(MESSAGE_DEFAULT) }
    }

    pub(crate) fn folder_bits(bits: u32) -> Self {
        Self { names: FOLDER, bits, all: bits == mask(FOLDER.len()) }
    }

    fn parse(
        select: Option<&str>,
        names: &'static [&'static str],
        default: usize,
        kind: &str,
    ) -> Result<Self, GraphError> {
        let all = Self { names, bits: mask(default), all: true };
        let Some(select) = select else { return Ok(all) };
        let mut bits = 0;
        for name in select.split(',').map(str::trim) {
            if name == "*" {
                bits |= all.bits;
            } else if !name.eq_ignore_ascii_case("id") {
                let at = names.iter().position(|known| known.eq_ignore_ascii_case(name));
                bits |= 1
                    << at.ok_or_else(|| {
                        GraphError::new(
                            400,
                            "RequestBroker--ParseUri",
                            format!("Could not find a property named '{name}' on type '{kind}'."),
                        )
                    })?;
            }
        }
        Ok(Self { names, bits, all: false })
    }

    /// The selected names in their order.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'static str> {
        let chosen = move |(at, _): &(usize, &&str)| self.bits & (1 << at) != 0;
        self.names.iter().enumerate().filter(chosen).map(|(_, name)| *name)
    }

    /// `(subject,isRead)` for the context of an answer, or nothing.
    pub(crate) fn context(self) -> String {
        if self.all {
            return String::new();
        }
        let names: Vec<&str> = self.iter().collect();
        format!("({})", if names.is_empty() { "id".to_owned() } else { names.join(",") })
    }
}

fn mask(count: usize) -> u32 {
    (1 << count) - 1
}

/// What `$expand` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expand {
    /// Normalised ids of extended properties.
    pub(crate) extended: Vec<String>,
    pub(crate) attachments: bool,
}

/// Most extended properties that one request may ask for.
const MOST_EXTENDED: usize = 16;

impl Expand {
    pub(crate) fn parse(expand: Option<&str>) -> Result<Self, GraphError> {
        let mut found = Self::default();
        let Some(expand) = expand else { return Ok(found) };
        for part in split_top(expand, ',') {
            let refuse = || GraphError::bad_request(format!("Parsing $expand failed at '{part}'."));
            if part.eq_ignore_ascii_case("attachments") {
                found.attachments = true;
                continue;
            }
            let inner = part
                .get(.."singleValueExtendedProperties".len())
                .filter(|name| name.eq_ignore_ascii_case("singleValueExtendedProperties"))
                .and_then(|name| part[name.len()..].strip_prefix('('))
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(|inner| inner.trim().strip_prefix("$filter"))
                .and_then(|rest| rest.trim_start().strip_prefix('='))
                .ok_or_else(refuse)?;
            for clause in split_words(inner.trim(), "or") {
                let id = clause
                    .trim_start_matches('(')
                    .trim_end_matches(')')
                    .trim()
                    .strip_prefix("id")
                    .and_then(|rest| rest.trim_start().strip_prefix("eq"))
                    .and_then(|rest| rest.trim().strip_prefix('\'')?.strip_suffix('\''))
                    .ok_or_else(refuse)?;
                found.extended.push(extended_id(id)?);
            }
            if found.extended.len() > MOST_EXTENDED {
                return Err(GraphError::bad_request("Too many extended properties."));
            }
        }
        Ok(found)
    }
}

/// The id of an extended property as Exchange gives it back: `Long 0xe08`,
/// `String {00020329-0000-0000-c000-000000000046} Name x`.
pub(crate) fn extended_id(id: &str) -> Result<String, GraphError> {
    const TYPES: &[&str] = &[
        "Binary",
        "Boolean",
        "CLSID",
        "Double",
        "Float",
        "Integer",
        "Long",
        "Short",
        "String",
        "SystemTime",
        "Currency",
        "ApplicationTime",
    ];
    let refuse = || {
        GraphError::new(
            400,
            "ErrorInvalidProperty",
            format!("The value '{id}' is not a valid extended property id."),
        )
    };
    let mut words = id.splitn(2, ' ');
    let kind = words.next().unwrap_or_default();
    let rest = words.next().unwrap_or_default().trim();
    let kind = TYPES.iter().find(|known| known.eq_ignore_ascii_case(kind)).ok_or_else(refuse)?;
    let hex = |text: &str| {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
        Some(format!("0x{:x}", u32::from_str_radix(digits, 16).ok()?))
    };
    if let Some(tag) = hex(rest) {
        return Ok(format!("{kind} {tag}"));
    }
    let mut words = rest.splitn(3, ' ');
    let (set, what, name) = (words.next(), words.next(), words.next());
    let guid = set
        .and_then(|s| s.strip_prefix('{')?.strip_suffix('}'))
        .and_then(|s| uuid::Uuid::try_parse(s).ok())
        .ok_or_else(refuse)?;
    match (what, name) {
        (Some(what), Some(name)) if what.eq_ignore_ascii_case("Name") && !name.is_empty() => {
            Ok(format!("{kind} {{{guid}}} Name {name}"))
        }
        (Some(what), Some(name)) if what.eq_ignore_ascii_case("Id") => {
            Ok(format!("{kind} {{{guid}}} Id {}", hex(name).ok_or_else(refuse)?))
        }
        _ => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_property_is_refused_by_name() {
        let error = Selection::message(Some("subject,wellKnownName")).unwrap_err();
        assert_eq!(error.status, 400);
        assert!(error.message.contains("wellKnownName"));
        let some = Selection::message(Some("isRead, SUBJECT,id")).unwrap();
        assert_eq!(some.iter().collect::<Vec<_>>(), ["subject", "isRead"]);
        assert_eq!(some.context(), "(subject,isRead)");
        assert_eq!(Selection::message_bits(some.bits).bits, some.bits);
    }

    #[test]
    fn extended_properties_are_named_as_exchange_names_them() {
        let text = "singleValueExtendedProperties($filter=id eq 'Long 0x0E08' or id eq 'String {00020329-0000-0000-C000-000000000046} Name a b')";
        let expand = Expand::parse(Some(text)).unwrap();
        assert_eq!(
            expand.extended,
            ["Long 0xe08", "String {00020329-0000-0000-c000-000000000046} Name a b"]
        );
        for bad in [
            "x",
            "singleValueExtendedProperties",
            "singleValueExtendedProperties($filter=id eq 'x')",
        ] {
            assert!(Expand::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
