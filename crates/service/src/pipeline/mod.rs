//! From the provider to the vault, one mailbox at a time, many mailboxes at once.

mod compare;
mod fetch;
mod folder;
mod folders;
mod habits;
mod mailbox;
mod remedied;
mod round;
mod settle;
mod stage;
mod staged;
mod traffic;

pub(crate) use fetch::{Beside, Fetcher, INSPECTED_BYTES, Inspecting};
pub(crate) use folders::FolderTree;
pub(crate) use mailbox::{Read, Reading, is_local, read};
pub(crate) use round::RoundWriter;
pub(crate) use staged::{Missed, meta_key};
pub(crate) use traffic::{Traffic, direction};
