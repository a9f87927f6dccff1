//! The lab from outside: over TLS, with assertions made by other libraries than its own.

mod admin;
mod delta;
mod reading;
mod schema;
mod seeds;
mod throttling;
mod token;
mod world;
mod writing;
