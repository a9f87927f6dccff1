//! The one parsed view of a message that detectors read.

mod address;
mod decode;
mod headers;
mod html;
mod mime;
mod passwords;
mod view;

pub(crate) use address::Address;
pub(crate) use decode::{base64 as decode_base64, charset as decode_text};
pub(crate) use html::Link;
pub(crate) use mime::{view_attachment, view_message, view_rule, view_text};
pub(crate) use view::{Field, MessageView};
