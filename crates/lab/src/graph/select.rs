//! `$select` and `$expand`: which properties an answer has.

use super::errors::GraphError;
use super::extended;
use super::query::split_top;

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

const GROUP: &[&str] = &[
    "createdDateTime",
    "description",
    "displayName",
    "groupTypes",
    "mail",
    "mailEnabled",
    "mailNickname",
    "proxyAddresses",
    "renewedDateTime",
    "securityEnabled",
    "visibility",
];

const CALENDAR: &[&str] = &[
    "name",
    "color",
    "hexColor",
    "isDefaultCalendar",
    "changeKey",
    "canShare",
    "canViewPrivateItems",
    "canEdit",
    "allowedOnlineMeetingProviders",
    "defaultOnlineMeetingProvider",
    "isTallyingResponses",
    "isRemovable",
    "owner",
];

const EVENT: &[&str] = &[
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "categories",
    "transactionId",
    "originalStartTimeZone",
    "originalEndTimeZone",
    "originalStart",
    "iCalUId",
    "reminderMinutesBeforeStart",
    "isReminderOn",
    "hasAttachments",
    "subject",
    "bodyPreview",
    "importance",
    "sensitivity",
    "isAllDay",
    "isCancelled",
    "isDraft",
    "isOrganizer",
    "responseRequested",
    "seriesMasterId",
    "showAs",
    "type",
    "webLink",
    "onlineMeetingUrl",
    "isOnlineMeeting",
    "onlineMeetingProvider",
    "onlineMeeting",
    "allowNewTimeProposals",
    "hideAttendees",
    "recurrence",
    "responseStatus",
    "body",
    "start",
    "end",
    "location",
    "locations",
    "attendees",
    "organizer",
    // Only when asked for.
    "cancelledOccurrences",
    "exceptionOccurrences",
];
const EVENT_DEFAULT: usize = 40;

const CONTACT_FOLDER: &[&str] = &["displayName", "parentFolderId"];

const CONTACT: &[&str] = &[
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "categories",
    "parentFolderId",
    "birthday",
    "fileAs",
    "displayName",
    "givenName",
    "initials",
    "middleName",
    "nickName",
    "surname",
    "title",
    "yomiGivenName",
    "yomiSurname",
    "yomiCompanyName",
    "generation",
    "imAddresses",
    "jobTitle",
    "companyName",
    "department",
    "officeLocation",
    "profession",
    "businessHomePage",
    "assistantName",
    "manager",
    "homePhones",
    "mobilePhone",
    "businessPhones",
    "spouseName",
    "personalNotes",
    "children",
    "emailAddresses",
    "homeAddress",
    "businessAddress",
    "otherAddress",
    // Only when asked for: they repeat the addresses.
    "primaryEmailAddress",
    "secondaryEmailAddress",
    "tertiaryEmailAddress",
];
const CONTACT_DEFAULT: usize = 37;

/// A set of properties of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    names: &'static [&'static str],
    pub(crate) bits: u64,
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

    /// A selection of users as a token carries it.
    pub(crate) fn user_bits(bits: u64) -> Self {
        Self { names: USER, bits, all: bits == mask(USER_DEFAULT) }
    }

    pub(crate) fn group(select: Option<&str>) -> Result<Self, GraphError> {
        Self::parse(select, GROUP, GROUP.len(), "microsoft.graph.group")
    }

    pub(crate) fn calendar(select: Option<&str>) -> Result<Self, GraphError> {
        Self::parse(select, CALENDAR, CALENDAR.len(), "microsoft.graph.calendar")
    }

    /// The second value says whether `exceptionOccurrences` was selected, a relation: the event
    /// resource's page says that it is "returned only on `$select` and `$expand`".
    pub(crate) fn event(select: Option<&str>) -> Result<(Self, bool), GraphError> {
        let is_relation = |name: &&str| name.trim().eq_ignore_ascii_case("exceptionOccurrences");
        let relation =
            select.is_some_and(|select| select.split(',').any(|name| is_relation(&name)));
        let properties = select.map(|select| {
            select.split(',').filter(|name| !is_relation(name)).collect::<Vec<_>>().join(",")
        });
        let properties = properties.map(|p| if p.is_empty() { "id".to_owned() } else { p });
        let selection =
            Self::parse(properties.as_deref(), EVENT, EVENT_DEFAULT, "microsoft.graph.event")?;
        Ok((selection, relation))
    }

    pub(crate) fn contact_folder(select: Option<&str>) -> Result<Self, GraphError> {
        Self::parse(select, CONTACT_FOLDER, CONTACT_FOLDER.len(), "microsoft.graph.contactFolder")
    }

    pub(crate) fn contact(select: Option<&str>) -> Result<Self, GraphError> {
        Self::parse(select, CONTACT, CONTACT_DEFAULT, "microsoft.graph.contact")
    }

    pub(crate) fn contact_bits(bits: u64) -> Self {
        Self { names: CONTACT, bits, all: bits == mask(CONTACT_DEFAULT) }
    }

    pub(crate) fn contact_folder_bits(bits: u64) -> Self {
        Self { names: CONTACT_FOLDER, bits, all: bits == mask(CONTACT_FOLDER.len()) }
    }

    /// A message selection as a token carries it.
    pub(crate) fn message_bits(bits: u64) -> Self {
        Self { names: MESSAGE, bits, all: bits == mask(MESSAGE_DEFAULT) }
    }

    pub(crate) fn folder_bits(bits: u64) -> Self {
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
                bits |= 1u64
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
        let chosen = move |(at, _): &(usize, &&str)| self.bits & (1u64 << at) != 0;
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

fn mask(count: usize) -> u64 {
    (1u64 << count) - 1
}

/// What `$expand` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expand {
    /// Normalised ids of extended properties.
    pub(crate) extended: Vec<String>,
    pub(crate) attachments: bool,
}

impl Expand {
    pub(crate) fn parse(expand: Option<&str>) -> Result<Self, GraphError> {
        let mut found = Self::default();
        let Some(expand) = expand else { return Ok(found) };
        for part in split_top(expand, ',') {
            if part.eq_ignore_ascii_case("attachments") {
                found.attachments = true;
                continue;
            }
            let ids = extended::expanded(part)?.ok_or_else(|| {
                GraphError::bad_request(format!("Parsing $expand failed at '{part}'."))
            })?;
            found.extended.extend(ids);
        }
        Ok(found)
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
