//! What the lab holds: tenants, their applications and mailboxes, and in these folders and messages.
//!
//! Every mailbox counts its changes with one number; the folders keep an index by that number,
//! so that a delta query costs what has changed and not what is there.

mod application;
mod calendar;
mod changes;
mod contacts;
mod content;
mod credential;
mod directory;
mod exchange_admin;
mod extended;
mod folder;
mod mail_flow;
mod mailbox;
mod message;
mod others;
mod person;
mod recurrence;
mod settings;
mod tenant;
mod windows_zones;
mod zone;

pub(crate) use application::{
    Application, DirectoryObject, ExchangeAccess, FederatedCredential, Known, Registry,
    RoleAssignment, ScopedRole, ServicePrincipal, permissions_of,
};
pub(crate) use calendar::{
    Aspect, Attached, Calendar, Calendars, DEFAULT_CALENDAR, Details, Event, Exception, GoneEvent,
    Moment, Shared as SharedCalendar,
};
pub(crate) use changes::{FolderChange, IdKind, MessageChange};
pub(crate) use contacts::{
    Contact, ContactChange, ContactFolder, ContactFolderChange, Contacts, DEFAULT_CONTACTS,
};
pub(crate) use content::{Content, Core, Importance, Party, SeedMessage};
pub(crate) use credential::{Credentials, KeyCredential, PasswordCredential};
pub(crate) use directory::{Directory, Group, Member, UserChange};
pub(crate) use exchange_admin::{Command, ExchangeAdmin, Properties};
pub(crate) use extended::{ExtendedProperties, TooMuch};
pub(crate) use folder::{Entry, Folder, ROOT, WellKnown};
pub(crate) use mail_flow::{FlowSettings, MailFlow};
pub(crate) use mailbox::{Mailbox, MailboxState, Refusal, Source};
pub(crate) use message::{Flag, Message, Natures, Place};
pub(crate) use others::{NOTES, Other, OtherKind, Others, SEARCH_KEY, SEARCH_KEY_TAG};
pub(crate) use person::{Profile, Purpose};
pub(crate) use recurrence::{MOST, Pattern, Recurrence, Until, WeekIndex};
pub(crate) use settings::{Entity, Settings, Task, TaskFile, TaskList};
pub(crate) use tenant::{Tenant, Tenants};
pub(crate) use zone::Zone;
