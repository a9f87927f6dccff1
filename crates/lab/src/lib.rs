//! A simulated Entra ID and Exchange Online, for the demonstration, for drills and for tests.
//!
//! The lab shares no wire types and no assertion code with the rest of Mailkeep: an error in one
//! must not hide in the other. It verifies what the real services verify and refuses with their
//! codes; where it differs, it is stricter.
//!
//! # Vocabulary
//!
//! - A [`Lab`] is one listener on loopback with TLS and a certificate authority of its own. Its
//!   [`Description`] tells other programs where everything is.
//! - A *tenant* is a directory with users, each of which has a mailbox, and with applications.
//! - An application is *registered* with a certificate and rights ([`Registration`]); it signs
//!   client assertions with the key of that certificate and gets an access token for them.
//! - The *administrative interface* below `/_lab` changes mailboxes in bulk, orders faults, moves
//!   the clock and shows counters and logs. It wants the token that lies in the lab's directory.
//! - The *directory* holds applications, service principals and policies, and keeps logs:
//!   `docs/directory.md` beside this crate describes what the administrator sets.
//! - A *fault* is something that goes wrong on demand, by rule and seed: `docs/faults.md` beside this
//!   crate describes the rules.
//!
//! # Where it differs from the real services
//!
//! - The limit of 10,000 requests in ten minutes is off unless
//!   [`LabOptions::requests_per_ten_minutes`] turns it on, that of 150 MB uploaded in five minutes
//!   unless [`LabOptions::upload_bytes_per_five_minutes`] does; that of four requests at once is on.
//! - Content of a message that is no draft can be changed only with `Mail-Advanced.ReadWrite.All`,
//!   whatever the lab's clock says; Exchange Online does so from 2026-12-31.
//!   That holds for what MAPI calls times, subject and header, and for an import over such a message.
//! - Folders of mailboxes (`/admin/exchange/mailboxes`) show in v1.0 what the schema of v1.0 has:
//!   `wellKnownName` and `parentMailboxUrl` are in the beta, as the archive's id is.
//! - Attached events and contacts, and references, are files in MIME (`.ics`, `.vcf`, `.url`); MIME does not
//!   bring them back, streams do. References are made in the beta only.
//! - A folder that was made with `isHidden` is named by lists that ask for hidden ones, and by no delta; messages
//!   in it are found as any others. What Exchange Online's delta does is not documented.
//! - Notifications go to loopback alone, without resource data, in three attempts; everything of one
//!   request is told at once.
//! - Files of tasks have no upload sessions. Extended properties of a request may be 64 an item.
//! - Pieces of an upload are multiples of 320 KiB but for the last one. Exchange Online documents
//!   no such rule, but Microsoft's own libraries keep to it.
//! - Of an event, what a client cannot set (`organizer`, `iCalUId`, `responseStatus` …) is refused,
//!   not ignored. `uid` and `occurrenceId`, which v1.0 does not have, are unknown.
//! - `/events` lists the default calendar's; every mail to attendees counts, whoever they are
//!   (`invitations_sent` of the counters). A meeting request puts nothing into their calendars.
//! - A message whose sender asks for a read receipt gives one, counted as `receipts_sent`, when an
//!   application marks it as read for the first time, unless it takes the request away with it.
//! - All whole days are shown without a zone: midnight is midnight in every zone that is asked for.
//! - A client assertion must have a `jti`. One that is used again is taken, as in Entra (`msal` sends
//!   the same one for nine minutes), and counted (`assertions_reused` of the counters).
//! - Query options that an operation does not know are refused, not ignored.
//! - Logs are told at once, keys and Exchange's application roles are in force at once, unless
//!   `/_lab/entra` says otherwise ([`LabOptions::sign_in_log_delay`] for sign-ins, too).
//! - Five requests in ten seconds to the logs of the directory, as in Graph, are on; `/_lab/limits`
//!   turns them off.
//! - A proof of possession needs `exp`, and `addKey` takes certificates only, without a private key.
//! - Every message on a page of a list or delta counts as accessed in the audit log, unless
//!   `/_lab/entra` says otherwise: how they count is not documented.
//! - GUIDs and ids are derived from names and from the order of the seed: a lab that is started
//!   again with the same seed has the same tenants, mailboxes, folders and messages. Delta tokens
//!   of an earlier run have expired (410).

mod activity;
mod admin;
mod clock;
mod compose;
mod counters;
mod entra;
mod error;
mod faults;
mod feed;
mod graph;
mod ids;
mod journal;
mod lab;
mod mail_audit;
mod operation;
mod options;
mod seed;
mod state;
mod thief;
mod throttle;
mod tls;

pub use error::LabError;
pub use lab::Lab;
pub use options::{
    AssertionAlgorithms, Description, LabOptions, Registered, Registration, TenantDescription,
};
pub use thief::{Eavesdropper, Granted, Overheard, OwnIssuer, OwnKey, Thief};
