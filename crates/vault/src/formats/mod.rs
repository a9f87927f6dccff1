//! What the content of events, tasks, contacts and settings is: iCalendar (RFC 5545, with RFC 7986),
//! vCard (RFC 2426, the version that phones and libraries take) and JSON, made from what the provider
//! told.
//!
//! The same item always gives the same bytes, so that nothing is stored twice. What
//! these formats cannot hold is in the leaf's index, in the provider's terms.

mod attached;
mod html;
mod ics;
mod rule;
mod setting;
mod text;
mod todo;
mod vcf;
mod windows;
mod zones;

pub use attached::{attachments_in_icalendar, photo_in_vcard};
pub use ics::{icalendar, write_icalendar};
pub use setting::setting_json;
pub use todo::{todo, write_todo};
pub use vcf::vcard;

pub(crate) use attached::CalendarParts;
pub(crate) use ics::{BEGIN_CALENDAR, END_CALENDAR};
