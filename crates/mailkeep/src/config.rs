use std::{io, path::Path, time::Duration};

use mailkeep_service::PassLimits;
use serde::Deserialize;

use crate::exit::Failure;

/// `config.toml`. Everything has a default; an unknown name is an error, because a misspelt
/// setting that does nothing is worse than none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) backup: BackupConfig,
    pub(crate) serve: ServeConfig,
}

/// `[backup]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BackupConfig {
    /// Items after which a pass writes a snapshot and goes on. Fewer take less memory, and less is
    /// read again after a crash; more make fewer snapshots.
    round_items: usize,
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self { round_items: PassLimits::default().round_items }
    }
}

impl BackupConfig {
    pub(crate) fn limits(&self) -> PassLimits {
        PassLimits { round_items: self.round_items.max(1), ..PassLimits::default() }
    }
}

/// 30 days: who wants fewer passes does not want them run by a service, and a time that far ahead
/// can always be represented.
const LONGEST_INTERVAL_SECONDS: u64 = 30 * 24 * 60 * 60;

/// `[serve]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServeConfig {
    /// Seconds between the beginnings of two passes of a tenant; one second at least, 30 days at
    /// most.
    interval_seconds: u64,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self { interval_seconds: 300 }
    }
}

impl ServeConfig {
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_seconds.clamp(1, LONGEST_INTERVAL_SECONDS))
    }
}

impl Config {
    /// Reads the file that was named, or the one in the data directory when it is there.
    pub(crate) fn read(named: Option<&Path>, default: &Path) -> Result<Self, Failure> {
        let path = named.unwrap_or(default);
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(Failure::usage(format!("cannot read {}: {error}", path.display())));
            }
        };
        toml::from_str(&text)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_setting_is_refused() {
        assert!(toml::from_str::<Config>("[serve]\ninterval = 3\n").is_err());
        let config: Config = toml::from_str("[serve]\ninterval_seconds = 3\n").unwrap();
        assert_eq!(config.serve.interval(), Duration::from_secs(3));
        assert_eq!(config.backup.limits().round_items, PassLimits::default().round_items);
        let config: Config = toml::from_str("[backup]\nround_items = 40\n").unwrap();
        assert_eq!(config.backup.limits().round_items, 40);
    }

    #[test]
    fn an_absurd_interval_does_not_end_the_service() {
        let longest = ServeConfig { interval_seconds: u64::MAX }.interval();
        assert_eq!(longest, Duration::from_secs(30 * 86_400));
        assert!(std::time::Instant::now().checked_add(longest).is_some());
        assert_eq!(ServeConfig { interval_seconds: 0 }.interval(), Duration::from_secs(1));
    }
}
