//! What we use of Graph.

/// An operation.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    /// Every key is `{id}`.
    pub(crate) template: &'static str,
    pub(crate) answer: Answer,
}

/// What we do with an answer.
pub(crate) enum Answer {
    /// It is understood: the examples on these pages of the documentation are.
    Read(&'static [&'static str]),
    /// Nothing in it is looked at but the status.
    Ignored,
    /// It is no JSON.
    Bytes,
}

use Answer::{Bytes, Ignored, Read};

const fn uses(method: &'static str, template: &'static str, answer: Answer) -> Operation {
    Operation { method, template, answer }
}

/// In the order of the documentation. What a test sends and is not here, and what is here and no test
/// sends, fails the run.
pub(crate) const OPERATIONS: &[Operation] = &[
    uses("GET", "/organization", Read(&["organization-list"])),
    uses("GET", "/users", Read(&["user-list"])),
    uses("GET", "/users/{id}", Read(&["user-get"])),
    uses("GET", "/users/delta", Read(&["user-delta"])),
    // No example of these has come with the reference data.
    uses("GET", "/groups", Read(&[])),
    uses("GET", "/groups/{id}/transitiveMembers", Read(&[])),
    uses("GET", "/subscriptions", Read(&["subscription-list"])),
    uses("POST", "/subscriptions", Read(&["subscription-get"])),
    uses("PATCH", "/subscriptions/{id}", Read(&["subscription-update"])),
    uses("DELETE", "/subscriptions/{id}", Ignored),
    uses("POST", "/subscriptions/{id}/reauthorize", Ignored),
    uses("GET", "/users/{id}/mailFolders", Read(&["user-list-mailfolders"])),
    uses("POST", "/users/{id}/mailFolders", Read(&["user-post-mailfolders"])),
    uses("GET", "/users/{id}/mailFolders/delta", Read(&["mailfolder-delta"])),
    uses("GET", "/users/{id}/mailFolders/{id}", Read(&["mailfolder-get"])),
    uses(
        "GET",
        "/users/{id}/mailFolders/{id}/childFolders",
        Read(&["mailfolder-list-childfolders"]),
    ),
    uses(
        "POST",
        "/users/{id}/mailFolders/{id}/childFolders",
        Read(&["mailfolder-post-childfolders"]),
    ),
    uses(
        "GET",
        "/users/{id}/mailFolders/{id}/messages/delta",
        Read(&["message-delta", "delta-query-messages"]),
    ),
    uses("GET", "/users/{id}/messages", Read(&["user-list-messages"])),
    uses("POST", "/users/{id}/messages", Read(&["user-post-messages"])),
    uses("GET", "/users/{id}/mailFolders/{id}/messages", Read(&["user-list-messages"])),
    uses(
        "POST",
        "/users/{id}/mailFolders/{id}/messages",
        Read(&["mailfolder-post-messages", "user-post-messages"]),
    ),
    uses(
        "GET",
        "/users/{id}/messages/{id}",
        Read(&["message-get", "singlevaluelegacyextendedproperty-get"]),
    ),
    uses("GET", "/users/{id}/mailFolders/{id}/messages/{id}", Read(&["message-get"])),
    uses("GET", "/users/{id}/mailFolders/{id}/messages/{id}/$value", Bytes),
    uses("PATCH", "/users/{id}/messages/{id}", Ignored),
    uses("DELETE", "/users/{id}/messages/{id}", Ignored),
    uses("GET", "/users/{id}/messages/{id}/$value", Bytes),
    // The documentation's examples of these answers have not come with the reference data.
    uses("POST", "/users/{id}/messages/{id}/move", Read(&[])),
    uses("POST", "/users/{id}/mailFolders/{id}/messages/{id}/move", Read(&[])),
    uses("POST", "/users/{id}/messages/{id}/permanentDelete", Ignored),
    uses("POST", "/users/{id}/sendMail", Ignored),
    uses(
        "POST",
        "/users/{id}/messages/{id}/attachments/createUploadSession",
        Read(&["attachment-createuploadsession"]),
    ),
    uses(
        "GET",
        "/users/{id}/calendars",
        Read(&["user-list-calendars", "calendargroup-list-calendars"]),
    ),
    uses(
        "POST",
        "/users/{id}/calendars",
        Read(&["calendargroup-post-calendars", "user-post-calendars"]),
    ),
    uses("GET", "/users/{id}/calendar", Read(&["calendar-get"])),
    uses(
        "GET",
        "/users/{id}/calendars/{id}/events",
        Read(&["calendar-list-events", "user-list-events"]),
    ),
    uses("POST", "/users/{id}/calendars/{id}/events", Read(&["calendar-post-events"])),
    uses("GET", "/users/{id}/events/{id}", Read(&["event-get"])),
    uses("PATCH", "/users/{id}/events/{id}", Ignored),
    uses("DELETE", "/users/{id}/events/{id}", Ignored),
    uses("GET", "/users/{id}/events/{id}/calendar", Read(&["calendar-get"])),
    uses("GET", "/users/{id}/events/{id}/instances", Read(&["event-list-instances"])),
    uses("GET", "/users/{id}/events/{id}/attachments", Read(&["event-list-attachments"])),
    uses("POST", "/users/{id}/events/{id}/attachments", Ignored),
    uses(
        "POST",
        "/users/{id}/events/{id}/attachments/createUploadSession",
        Read(&["attachment-createuploadsession"]),
    ),
    uses("GET", "/users/{id}/events/{id}/attachments/{id}", Read(&["attachment-get"])),
    uses("GET", "/users/{id}/events/{id}/attachments/{id}/$value", Bytes),
    uses("GET", "/users/{id}/contactFolders", Read(&["user-list-contactfolders"])),
    uses("POST", "/users/{id}/contactFolders", Read(&["user-post-contactfolders"])),
    uses("GET", "/users/{id}/contactFolders/{id}", Read(&["contactfolder-get"])),
    uses(
        "GET",
        "/users/{id}/contactFolders/{id}/childFolders",
        Read(&["contactfolder-list-childfolders"]),
    ),
    uses(
        "POST",
        "/users/{id}/contactFolders/{id}/childFolders",
        Read(&["contactfolder-post-childfolders"]),
    ),
    uses(
        "GET",
        "/users/{id}/contactFolders/{id}/contacts",
        Read(&["contactfolder-list-contacts", "user-list-contacts"]),
    ),
    uses(
        "POST",
        "/users/{id}/contactFolders/{id}/contacts",
        Read(&["contactfolder-post-contacts"]),
    ),
    uses("GET", "/users/{id}/contactFolders/{id}/contacts/delta", Read(&["contact-delta"])),
    uses("GET", "/users/{id}/contacts/{id}", Read(&["contact-get"])),
    uses("PATCH", "/users/{id}/contacts/{id}", Ignored),
    uses("DELETE", "/users/{id}/contacts/{id}", Ignored),
    uses("GET", "/users/{id}/contacts/{id}/photo/$value", Bytes),
    uses("PUT", "/users/{id}/contacts/{id}/photo/$value", Ignored),
    uses(
        "GET",
        "/users/{id}/mailFolders/{id}/messageRules",
        Read(&["mailfolder-list-messagerules"]),
    ),
    uses(
        "POST",
        "/users/{id}/mailFolders/{id}/messageRules",
        Read(&["mailfolder-post-messagerules"]),
    ),
    uses("DELETE", "/users/{id}/mailFolders/{id}/messageRules/{id}", Ignored),
    uses(
        "GET",
        "/users/{id}/outlook/masterCategories",
        Read(&["outlookuser-list-mastercategories"]),
    ),
    uses(
        "POST",
        "/users/{id}/outlook/masterCategories",
        Read(&["outlookuser-post-mastercategories"]),
    ),
    uses("PATCH", "/users/{id}/outlook/masterCategories/{id}", Ignored),
    uses("GET", "/users/{id}/mailboxSettings", Read(&["user-get-mailboxsettings"])),
    uses("PATCH", "/users/{id}/mailboxSettings", Ignored),
    uses("GET", "/users/{id}/settings/exchange", Read(&["exchangesettings-get"])),
    uses("GET", "/beta/users/{id}/settings/exchange", Read(&["exchangesettings-get"])),
    uses("GET", "/users/{id}/todo/lists", Read(&["todo-list-lists"])),
    uses("POST", "/users/{id}/todo/lists", Read(&["todo-post-lists"])),
    uses("GET", "/users/{id}/todo/lists/{id}/tasks", Read(&["todotasklist-list-tasks"])),
    uses("POST", "/users/{id}/todo/lists/{id}/tasks", Read(&["todotasklist-post-tasks"])),
    uses("GET", "/users/{id}/todo/lists/{id}/tasks/delta", Read(&["todotask-delta"])),
    uses("GET", "/users/{id}/todo/lists/{id}/tasks/{id}", Read(&["todotask-get"])),
    uses("DELETE", "/users/{id}/todo/lists/{id}/tasks/{id}", Ignored),
    uses(
        "GET",
        "/users/{id}/todo/lists/{id}/tasks/{id}/checklistItems",
        Read(&["todotask-list-checklistitems"]),
    ),
    uses("POST", "/users/{id}/todo/lists/{id}/tasks/{id}/checklistItems", Ignored),
    uses(
        "GET",
        "/users/{id}/todo/lists/{id}/tasks/{id}/linkedResources",
        Read(&["todotask-list-linkedresources"]),
    ),
    uses("PATCH", "/users/{id}/todo/lists/{id}/tasks/{id}/extensions/{id}", Ignored),
    uses(
        "GET",
        "/users/{id}/todo/lists/{id}/tasks/{id}/attachments",
        Read(&["todotask-list-attachments"]),
    ),
    uses("POST", "/users/{id}/todo/lists/{id}/tasks/{id}/attachments", Ignored),
    uses("GET", "/users/{id}/todo/lists/{id}/tasks/{id}/attachments/{id}/$value", Bytes),
    uses(
        "GET",
        "/admin/exchange/mailboxes/{id}/folders/delta",
        Read(&["mailboxfolder-delta", "mailbox-list-folders"]),
    ),
    uses(
        "GET",
        "/admin/exchange/mailboxes/{id}/folders/{id}/items",
        Read(&["mailboxfolder-list-items"]),
    ),
    uses(
        "GET",
        "/admin/exchange/mailboxes/{id}/folders/{id}/items/delta",
        Read(&["mailboxitem-delta"]),
    ),
    uses(
        "GET",
        "/admin/exchange/mailboxes/{id}/folders/{id}/items/{id}",
        Read(&["mailboxitem-get"]),
    ),
    uses("POST", "/admin/exchange/mailboxes/{id}/exportItems", Read(&["mailbox-exportitems"])),
    uses(
        "POST",
        "/admin/exchange/mailboxes/{id}/createImportSession",
        Read(&["mailbox-createimportsession"]),
    ),
    uses("GET", "/applications/{id}", Read(&["application-get"])),
    uses("PATCH", "/applications/{id}", Ignored),
    // The example of its answer shows nothing of it.
    uses("POST", "/applications/{id}/addKey", Read(&[])),
    uses("POST", "/applications/{id}/removeKey", Ignored),
    uses("POST", "/applications/{id}/removePassword", Ignored),
    uses("GET", "/applications/{id}/owners", Read(&["application-list-owners"])),
    uses("DELETE", "/applications/{id}/owners/{id}/$ref", Ignored),
    uses("GET", "/applications/{id}/federatedIdentityCredentials", Read(&[])),
    uses("DELETE", "/applications/{id}/federatedIdentityCredentials/{id}", Ignored),
    uses("GET", "/servicePrincipals/{id}", Read(&["serviceprincipal-get"])),
    uses("PATCH", "/servicePrincipals/{id}", Ignored),
    uses("POST", "/servicePrincipals/{id}/removePassword", Ignored),
    uses("GET", "/servicePrincipals/{id}/owners", Read(&["serviceprincipal-list-owners"])),
    uses("DELETE", "/servicePrincipals/{id}/owners/{id}/$ref", Ignored),
    uses(
        "GET",
        "/servicePrincipals/{id}/appRoleAssignments",
        Read(&["serviceprincipal-list-approleassignments"]),
    ),
    uses("GET", "/auditLogs/directoryAudits", Read(&["directoryaudit-list"])),
    uses("GET", "/beta/auditLogs/signIns", Read(&[])),
    uses("POST", "/admin/configurationManagement/configurationSnapshots/createSnapshot", Read(&[])),
    uses("GET", "/admin/configurationManagement/configurationSnapshots/{id}", Read(&[])),
    uses("GET", "/admin/configurationManagement/configurationSnapshotJobs/{id}", Read(&[])),
    uses("DELETE", "/admin/configurationManagement/configurationSnapshotJobs/{id}", Ignored),
    uses("GET", "/identity/conditionalAccess/namedLocations", Read(&[])),
    uses("GET", "/identity/conditionalAccess/policies", Read(&[])),
    uses("POST", "/security/auditLog/queries", Read(&[])),
    uses("GET", "/security/auditLog/queries/{id}", Read(&[])),
    uses("GET", "/security/auditLog/queries/{id}/records", Read(&[])),
    uses("POST", "/api/g…", Read(&["import-exchange-mailbox-item"])),
    uses("POST", "/$batch", Read(&["json-batching"])),
    uses("PUT", "/api/v2.0/…", Ignored),
    uses("GET", "/api/v2.0/…", Read(&[])),
];

/// What no test sends, and why.
pub(crate) const UNSENT: &[(&str, &str, &str)] = &[(
    "GET",
    "/users/{id}",
    "asked for only when a delta tells a user in part, which the lab never does",
)];
