//! Where links lead: [`Target`] takes off link protection and redirectors; the tables of both are
//! in `redirect.rs`, those of hosts that anybody can have in `places.rs`.

pub(crate) mod places;
mod redirect;
mod target;

pub(crate) use target::Target;
