//! Rules of one's own.

use std::sync::Arc;

use mailkeep_service::RuleEngine;

/// What compiles rules; `None`: nothing does.
pub(crate) fn engine() -> Option<Arc<dyn RuleEngine>> {
    None
}
