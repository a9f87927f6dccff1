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
    /// Days in which each folder is once read from its beginning and compared with the vault: what a
    /// provider never told of comes out then. From 1 to 365.
    compare_days: u16,
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self { round_items: PassLimits::default().round_items, compare_days: 7 }
    }
}

impl BackupConfig {
    pub(crate) fn limits(&self) -> PassLimits {
        PassLimits {
            round_items: self.round_items.max(1),
            compare_every: DAY * u32::from(self.compare_days.clamp(1, 365)),
            ..PassLimits::default()
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
        assert_eq!(config.backup.limits().compare_every, PassLimits::default().compare_every);
        let config: Config = toml::from_str("[backup]\ncompare_days = 0\n").unwrap();
        assert_eq!(config.backup.limits().compare_every, DAY);
    }

    #[test]
    fn an_absurd_interval_does_not_end_the_service() {
        let longest = ServeConfig { interval_seconds: u64::MAX }.interval();
        assert_eq!(longest, Duration::from_secs(30 * 86_400));
        assert!(std::time::Instant::now().checked_add(longest).is_some());
        assert_eq!(ServeConfig { interval_seconds: 0 }.interval(), Duration::from_secs(1));
    }

    #[test]
    fn every_setting_is_documented_with_its_default() {
        let text = include_str!("../../../docs/operating.md");
        let block = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
        let block = block.expect("the settings stand in docs/operating.md");
        let documented: Config = toml::from_str(block).unwrap();
        assert_eq!(format!("{documented:?}"), format!("{:?}", Config::default()));
        let named: toml::Table = block.parse().unwrap();
        // What is refused is told with all names that are known.
        let known = |text: &str| -> Vec<String> {
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
            let names = error.rsplit("expected").next().unwrap_or_default();
            names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let sections = known("unknown = 1");
        assert!(!sections.is_empty());
        for section in sections {
            let settings = known(&format!("[{section}]\nunknown = 1"));
            assert!(!settings.is_empty(), "{section}");
            for setting in settings {
                assert!(named[&section].get(&setting).is_some(), "[{section}] {setting}");
            }
        }
    }
}
