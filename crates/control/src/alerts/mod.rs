//! Alerts: whom they are told to, what waits to be told, and who looks after what. What stands in
//! messages and settings is `service`'s; here it is JSON.

mod acknowledgements;
mod deliveries;
mod destinations;

pub use acknowledgements::Acknowledgement;
pub(crate) use acknowledgements::forget_acknowledgement;
pub use deliveries::{Attempt, QueuedDelivery, Telling};
pub use destinations::{AlertDestination, NewAlertDestination};
