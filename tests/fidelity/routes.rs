//! The routes on which items are kept and written back, and why a property differs afterwards.

/// A way from the mailbox into the vault and back.
pub(crate) struct Route {
    pub(crate) title: &'static str,
    /// What is said above its tables.
    pub(crate) about: &'static str,
    /// `config.toml`
    pub(crate) settings: &'static str,
    /// What has to be granted beside the rights that every backup needs, and every restore.
    pub(crate) reader: &'static [&'static str],
    pub(crate) restorer: &'static [&'static str],
    /// Kinds of items that come back whole: nothing of them may be told as lost.
    pub(crate) whole: &'static [&'static str],
    /// [`CLASSES`](crate::table::CLASSES) that the route brings back.
    pub(crate) classes: &'static [&'static str],
    pub(crate) reasons: &'static [Reason],
}

/// Why a property of items of some classes is another one afterwards; no classes: of all.
pub(crate) struct Reason {
    pub(crate) classes: &'static [&'static str],
    pub(crate) property: &'static str,
    pub(crate) why: &'static str,
}

impl Route {
    /// Why a property may differ; the same of an exception to a series as of the series.
    pub(crate) fn reason(&self, class: &str, property: &str) -> Option<&'static Reason> {
        let property = property.strip_prefix("exceptions: ").unwrap_or(property);
        self.reasons.iter().find(|reason| {
            reason.property == property
                && (reason.classes.is_empty() || reason.classes.contains(&class))
        })
    }
}

const fn of(classes: &'static [&'static str], property: &'static str, why: &'static str) -> Reason {
    Reason { classes, property, why }
}

const ALL: &[&str] = &[];
const EVENTS: &[&str] = &["events"];
const MESSAGES: &[&str] = &["messages"];
const SETTINGS: &[&str] = &["settings"];
const RULES: &[&str] = &["rules"];
const TASKS: &[&str] = &["tasks"];

const OWN: &str = "the copy's own";
const VERSION: &str = "version of the copy";
const MARKS: &str = "what a restore finds its copies by; nothing that people see";
const REPLIES: &str = "automatic replies come back off: nothing that is restored sends anything";
const RECEIPT: &str = "who has had a receipt gets no second one";
const FORWARDS: &str =
    "a rule that forwards comes back off: nothing that is restored sends anything";

/// Through Graph v1.0 as MIME and JSON.
pub(crate) const MIME_AND_JSON: Route = Route {
    title: "MIME and JSON",
    about: "What is kept without further settings, and tasks (`tasks = true`): messages as MIME, all else as what Graph's JSON tells. It is\n\
        readable without Exchange. Everything stays in the vault, also what a restore cannot write back.",
    settings: "[backup]\ntasks = true\n",
    reader: &["Tasks.Read.All"],
    restorer: &["Tasks.ReadWrite.All"],
    whole: &[],
    classes: &[
        "messages",
        "events",
        "contacts",
        "task_lists",
        "tasks",
        "settings",
        "rules",
        "categories",
    ],
    reasons: &[
        of(ALL, "id", OWN),
        of(ALL, "@odata.etag", VERSION),
        of(ALL, "changeKey", VERSION),
        of(ALL, "createdDateTime", "when the copy was made"),
        of(ALL, "lastModifiedDateTime", "when the copy was made"),
        of(ALL, "webLink", "leads to the copy"),
        of(ALL, "extended: ours", MARKS),
        of(
            ALL,
            "extended",
            "properties that other programs put on items are in no JSON unless they are asked for by name",
        ),
        of(EVENTS, "seriesMasterId", "names the copy"),
        of(EVENTS, "transactionId", "the request's own"),
        of(
            EVENTS,
            "attendees",
            "Graph would send them invitations; kept in a property of ours on the copy, and in the vault",
        ),
        of(EVENTS, "isOrganizer", "the copy is the mailbox owner's own"),
        of(EVENTS, "organizer", "Graph makes the mailbox's owner the organizer"),
        of(
            EVENTS,
            "iCalUId",
            "Graph gives each event a new one; the old one stays in the vault's ICS",
        ),
        of(EVENTS, "responseStatus", "an answer cannot be written"),
        of(EVENTS, "onlineMeetingUrl", "belongs to the meeting service"),
        of(MESSAGES, "received", "a draft has the time at which the copy was made"),
        of(MESSAGES, "sent", "a draft has the time at which the copy was made"),
        of(
            MESSAGES,
            "search_key",
            "Exchange gives one to each message that is not copied by itself",
        ),
        of(MESSAGES, "read_receipt", RECEIPT),
        of(MESSAGES, "size", "the MIME is written anew"),
        of(
            MESSAGES,
            "mime_sha256",
            "the MIME is written anew: signatures (DKIM, S/MIME) of the copy do not verify",
        ),
        of(TASKS, "attachments: lastModifiedDateTime", "when the copy was made"),
        of(TASKS, "bodyLastModifiedDateTime", "when the copy was made"),
        of(SETTINGS, "automaticRepliesSetting.status", REPLIES),
        of(RULES, "isEnabled", FORWARDS),
    ],
};

/// As Exchange exports and imports it.
pub(crate) const STREAM: Route = Route {
    title: "Full-fidelity stream",
    about: "With `streams = true`. Messages, events, contacts, sticky notes and contact groups come back from what Exchange itself exported:\n\
        nothing of them is lost, not even what other programs put on them (*extended*). What differs are names and versions of the copies, and\n\
        our own mark on them: of notes and groups, which carry none, the name alone; of meetings whose attendees might be told of the mark,\n\
        names and versions. What was read gives no second receipt. Settings have no stream and come back as they do without; so do tasks.",
    settings: "[backup]\nstreams = true\n",
    reader: &["MailboxFolder.Read.All", "MailboxItem.Read.All", "MailboxItem.Export.All"],
    restorer: &["MailboxFolder.Read.All", "MailboxItem.Read.All", "MailboxItem.ImportExport.All"],
    whole: &["message", "event", "contact", "opaque"],
    classes: &[
        "messages",
        "events",
        "contacts",
        "notes",
        "contact_groups",
        "settings",
        "rules",
        "categories",
    ],
    reasons: &[
        of(ALL, "id", OWN),
        of(ALL, "@odata.etag", VERSION),
        of(ALL, "changeKey", VERSION),
        of(ALL, "webLink", "leads to the copy"),
        of(ALL, "lastModifiedDateTime", "when the copy was marked"),
        of(ALL, "extended: ours", MARKS),
        of(EVENTS, "seriesMasterId", "names the copy"),
        of(MESSAGES, "read_receipt", RECEIPT),
        of(SETTINGS, "automaticRepliesSetting.status", REPLIES),
        of(RULES, "isEnabled", FORWARDS),
    ],
};
