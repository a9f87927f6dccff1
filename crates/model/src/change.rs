use serde::{Deserialize, Serialize};

/// Where a synchronisation stands (Graph: a `deltaLink` or `nextLink`; EWS: a `SyncState`).
/// Opaque to everyone but the provider that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// One change that a provider reports; `T` is the thing, `I` its identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T, I> {
    /// Created or changed: the whole state as it is now.
    Upsert(T),
    /// No longer in the place that was asked about: deleted or moved away; a provider does not
    /// tell which.
    Removed(I),
}

/// What follows a page of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another page is ready, to be asked for with this cursor.
    More(Cursor),
    /// All changes were given; this cursor asks for what comes later.
    Done(Cursor),
    /// Everything there is was given, and there is no cursor: to find out what changed, all of it
    /// is asked for again and compared.
    Complete,
}

/// One page of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, I> {
    /// The changes, in the provider's order.
    pub changes: Vec<Change<T, I>>,
    /// Things that changed but could not be read, and why.
    pub unread: Vec<(I, String)>,
    /// What to ask for next.
    pub next: Next,
}
