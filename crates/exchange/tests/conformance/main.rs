//! What every provider of mailboxes promises, as one story: the same cases, whatever is behind the
//! [`Provider`](mailkeep_exchange::Provider) trait. A provider brings a [`backend::Backend`], through
//! which a test does what people do to their mailboxes, and knows what is true.
//!
//! A kind of thing that a provider has no way to read is *unsupported*. That is shown in the table at
//! the end, and what each provider may leave unsupported is written down here: a provider that no
//! longer does what it did fails.

#![allow(clippy::unwrap_used)] // The helpers are tests, too.

mod backend;
mod cases {
    pub(crate) mod folders;
    pub(crate) mod mail;
    pub(crate) mod marks;
    pub(crate) mod personal;
    pub(crate) mod refusals;
}
#[path = "../common/mod.rs"]
mod common;
mod graph;
mod suite;

/// What Microsoft Graph has no way to do, by the names in the table.
const GRAPH_LACKS: &[&str] = &[];

#[tokio::test(flavor = "multi_thread")]
async fn graph_keeps_every_promise_of_a_provider() {
    let backend = graph::GraphBackend::start().await;
    suite::run(&backend, "Microsoft Graph", GRAPH_LACKS).await;
}
