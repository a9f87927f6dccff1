//! HTML as mail holds it: tokens, entities, and the text that a person sees, with the way back to
//! the source.
//!
//! The tokenizer follows section 13.2.5 of the WHATWG HTML standard and is ours, not `lol_html`'s:
//! a link here ends at `</a>` or at the next `<a>`, however its neighbours are nested, as a
//! browser's adoption agency has it, while `lol_html` tells of end tags only where they match; and
//! text must be followed back through entities to the character, which it leaves encoded.

mod entities;
mod render;
mod style;
mod tokens;

pub(super) use render::render;
pub(crate) use render::{Form, Image, Link, Rendered};
