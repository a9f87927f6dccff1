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
    uses("GET", "/users/{id}/mailFolders/delta", Read(&["mailfolder-delta"])),
    uses("GET", "/users/{id}/messages/{id}/$value", Bytes),
    uses("PATCH", "/users/{id}/messages/{id}", Ignored),
];
