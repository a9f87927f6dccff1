//! Evidence that tells a reader which value was meant, and nobody what it is.

use crate::Context;

/// What is known of the value, its last characters, and the mark by which equal values are
/// recognised. No more than four characters are shown, and no more than a quarter.
pub(super) fn evidence(title: &str, entity: &str, value: &str, context: &Context<'_>) -> String {
    let mark = context.mask_key.mark(entity, value);
    let length = value.chars().count();
    let shown = (length / 4).min(4);
    // A long secret is told from others by its mark; its length says nothing a reader needs.
    let hidden = (length - shown).min(12);
    let last: String = value.chars().skip(length - shown).collect();
    format!("{title} {}{last} #{mark}", "*".repeat(hidden))
}
