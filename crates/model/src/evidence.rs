//! What a provider's logs say of the use of our credentials: input for the watch over ourselves.
//!
//! All of it comes from outside and is believed no further than the provider is. Times are the
//! provider's.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// An attempt of an application to get a token (`signIn` of a service principal;
/// <https://learn.microsoft.com/graph/api/resources/signin?view=graph-rest-beta>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The log's own id of the entry; the same whenever it is read.
    pub id: String,
    /// When it was (`createdDateTime`).
    pub at: OffsetDateTime,
    /// The application's client id (`appId`), lower case.
    pub client_id: String,
    /// What it proved its identity with.
    pub credential: CredentialKind,
    /// The provider's id of that credential (`servicePrincipalCredentialKeyId`), where it tells.
    pub key_id: Option<String>,
    /// The certificate's thumbprint (`servicePrincipalCredentialThumbprint`), where it tells.
    pub thumbprint: Option<String>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The identifier of the token that was given out (`uniqueTokenIdentifier`).
    pub uti: Option<String>,
    /// What the client called its request (`correlationId`).
    pub correlation_id: Option<Uuid>,
    /// What the token is for (`resourceId`).
    pub resource: Option<String>,
    /// 0 when a token was given out, else why not (`AADSTS…`).
    pub error: u32,
}

/// What an application proves its identity with (`clientCredentialType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CredentialKind {
    /// An assertion signed with a certificate's key.
    Certificate,
    /// A password of the application.
    Secret,
    /// Another issuer's assertion.
    Federated,
    /// The log does not tell, or it is one that nobody knew when this was written.
    Unknown,
}

/// One record of reads of one mailbox with one token (`MailItemsAccessed`;
/// <https://learn.microsoft.com/purview/audit-log-investigate-accounts>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailAccess {
    /// The log's own id of the record.
    pub id: String,
    /// When the first read of the record was; the others are within [`MailAccess::AGGREGATED`].
    pub at: OffsetDateTime,
    /// The client id of the application that was used, lower case, where it is told; people use one,
    /// too.
    pub client_id: Option<String>,
    /// The token's identifier (`AppAccessContext.UniqueTokenId`), where it is told.
    pub uti: Option<String>,
    /// What the client called its request, where it is told.
    pub client_request_id: Option<Uuid>,
    /// Where the requests came from.
    pub address: Option<IpAddr>,
    /// The mailbox's address (`MailboxOwnerUPN`), lower case; its GUID where that is all that is told.
    pub mailbox: String,
    /// Its GUID (`MailboxGuid`), lower case, where that is told: it stays when the address changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox_id: Option<String>,
    /// Whether single messages or a whole folder was read.
    pub breadth: Breadth,
    /// The messages, as far as the record names them.
    pub messages: Vec<AccessedMessage>,
    /// The mailbox records nothing for 24 hours from here on (`IsThrottled`).
    pub throttled: bool,
}

impl MailAccess {
    /// For how long reads of the same context are gathered in one record.
    pub const AGGREGATED: time::Duration = time::Duration::minutes(2);
    /// For how long a mailbox is silent after a record that says so.
    pub const SILENCE: time::Duration = time::Duration::hours(24);
}

/// How much one record of reads is about (`MailAccessType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breadth {
    /// The messages that are named.
    Messages,
    /// Whole folders: everything in those that are named counts as read.
    Folders,
}

/// A message that was read, or all of a folder when nothing but that is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccessedMessage {
    /// The provider's id, immutable where it has such.
    pub item: Option<String>,
    /// `Message-ID` (RFC 5322).
    pub message_id: Option<String>,
    /// Path of its folder, as `\Inbox\Projects`.
    pub folder: Option<String>,
}

/// One request to the provider's interface (`MicrosoftGraphActivityLogs`;
/// <https://learn.microsoft.com/graph/microsoft-graph-activity-logs-overview>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderCall {
    /// The provider's id of the request.
    pub request_id: String,
    /// When it was.
    pub at: OffsetDateTime,
    /// The application's client id, lower case.
    pub client_id: String,
    /// The token's identifier (`signInActivityId`).
    pub uti: Option<String>,
    /// What the client called its request.
    pub client_request_id: Option<Uuid>,
    /// Where it came from.
    pub address: Option<IpAddr>,
    /// `GET`, …
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// The answer's status.
    pub status: u16,
}

/// A change of the directory: an application, a service principal or a policy
/// (<https://learn.microsoft.com/graph/api/resources/directoryaudit>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryChange {
    /// The log's own id of the entry.
    pub id: String,
    /// When it was.
    pub at: OffsetDateTime,
    /// What was done, in the provider's words, without space at the ends.
    pub activity: String,
    /// Who did it.
    pub actor: Actor,
    /// To what.
    pub targets: Vec<ChangedObject>,
}

/// Who changed something in the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A person.
    User {
        /// User principal name.
        name: String,
        /// Where they came from.
        address: Option<IpAddr>,
    },
    /// An application.
    Application {
        /// Object id of its service principal, lower case.
        principal: String,
        /// Its name.
        name: String,
    },
    /// The log does not tell.
    Unknown,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedObject {
    /// Object id, lower case.
    pub id: String,
    /// Its kind: `Application`, `ServicePrincipal`, `Policy`.
    pub kind: String,
    /// Its name.
    pub name: Option<String>,
    /// The names of the properties that were changed.
    pub properties: Vec<String>,
}
