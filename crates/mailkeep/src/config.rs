use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use mailkeep_exchange::Extras;
use mailkeep_service::{
    Bucket, DataDirectory, HintTiming, KeyTending, NotifyOptions, PassLimits, ProtectOptions,
    TenantFiles, Witness, WitnessWay,
};
use mailkeep_tls::{
    Acme, CertificateSource, ListenerOptions, OldestTls, SignerPort, TlsFiles, WorkerFiles,
};
use serde::Deserialize;
use url::Url;

use crate::exit::Failure;

/// `config.toml`. Everything has a default; an unknown name is an error, because a misspelt
/// setting that does nothing is worse than none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) backup: BackupConfig,
    pub(crate) serve: ServeConfig,
    pub(crate) protect: ProtectConfig,
    pub(crate) signer: SignerConfig,
    pub(crate) witness: Vec<WitnessConfig>,
}

/// `[protect]`: what messages are inspected with, and what follows. Files are read again when they
/// change; relative ones lie beside the settings' own directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProtectConfig {
    /// The policy (TOML); empty: there is none, and nothing follows from a verdict.
    policy: PathBuf,
    /// Lists of bad addresses, hosts and hashes; a directory is all files in it.
    feeds: Vec<PathBuf>,
    /// Dictionaries: `.toml`, or a phrase a line; a directory is all files in it.
    dictionaries: Vec<PathBuf>,
    /// Lists of hashed values, as `mailkeep policy hash` makes them.
    lists: Vec<PathBuf>,
    /// The key that their values were hashed with; empty: there is none.
    list_key: PathBuf,
    /// A directory of YARA rules (`.yar`); empty: there are none.
    rules: PathBuf,
    /// Where ClamAV listens: `/run/clamav/clamd.ctl`, or `tcp://ADDRESS:PORT`; empty: it is not asked.
    clamav: String,
    /// Seconds that ClamAV may take for one message, and rules likewise. From 1 to 300.
    scan_seconds: u16,
    /// Mail that arrived more than so many hours ago is never acted on. From 1 to 720.
    act_within_hours: u16,
    /// `[protect.tenants.NAME]`: policy, dictionaries, lists and list_key of one tenant.
    tenants: BTreeMap<String, TenantProtectConfig>,
}

/// `[protect.tenants.NAME]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TenantProtectConfig {
    policy: PathBuf,
    dictionaries: Vec<PathBuf>,
    lists: Vec<PathBuf>,
    list_key: PathBuf,
}

impl Default for ProtectConfig {
    fn default() -> Self {
        let ProtectOptions { scan_time, act_within, .. } = ProtectOptions::default();
        let whole = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
        Self {
            policy: PathBuf::new(),
            feeds: Vec::new(),
            dictionaries: Vec::new(),
            lists: Vec::new(),
            list_key: PathBuf::new(),
            rules: PathBuf::new(),
            clamav: String::new(),
            scan_seconds: whole(scan_time.as_secs()),
            act_within_hours: whole(act_within.as_secs() / 3600),
            tenants: BTreeMap::new(),
        }
    }
}

impl ProtectConfig {
    /// What the service is given. Relative paths lie in `base`.
    pub(crate) fn options(&self, base: &Path) -> Result<ProtectOptions, Failure> {
        let refuse = |text: String| Failure::usage(format!("[protect] {text}"));
        let one = |path: &PathBuf| {
            Some(path).filter(|path| !path.as_os_str().is_empty()).map(|path| base.join(path))
        };
        let many = |paths: &[PathBuf]| paths.iter().map(|path| base.join(path)).collect();
        let files = |of: &TenantProtectConfig| TenantFiles {
            policy: one(&of.policy),
            dictionaries: many(&of.dictionaries),
            lists: many(&of.lists),
            list_key: one(&of.list_key),
        };
        let mut tenants = BTreeMap::new();
        for (name, own) in &self.tenants {
            let tenant =
                name.parse().map_err(|error| refuse(format!("tenants: '{name}': {error}")))?;
            tenants.insert(tenant, files(own));
        }
        let clamav = Some(self.clamav.as_str()).filter(|text| !text.is_empty());
        let clamav = clamav.map(str::parse).transpose();
        let of_all = TenantProtectConfig {
            policy: self.policy.clone(),
            dictionaries: self.dictionaries.clone(),
            lists: self.lists.clone(),
            list_key: self.list_key.clone(),
        };
        Ok(ProtectOptions {
            files: files(&of_all),
            tenants,
            feeds: many(&self.feeds),
            rules: one(&self.rules),
            clamav: clamav.map_err(|error| refuse(format!("clamav: {error}")))?,
            scan_time: Duration::from_secs(self.scan_seconds.clamp(1, 300).into()),
            act_within: Duration::from_secs(3600) * u32::from(self.act_within_hours.clamp(1, 720)),
        })
    }
}

/// `[[witness]]`: who keeps checkpoints of the signer's ledger.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WitnessConfig {
    /// What it is called.
    name: String,
    /// A file that lines are added to.
    #[serde(default)]
    file: Option<PathBuf>,
    /// A program with its arguments, which gets a line on its standard input.
    #[serde(default)]
    command: Vec<String>,
    /// A bucket with object lock.
    #[serde(default)]
    s3: Option<S3Config>,
}

/// `s3 = { … }`: a bucket that speaks like Amazon's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct S3Config {
    /// `https://BUCKET.s3.REGION.amazonaws.com/PREFIX` or `https://HOST/BUCKET/PREFIX`.
    url: String,
    region: String,
    /// For how many days an object is locked.
    #[serde(default = "locked_days")]
    keep_days: u16,
    /// Whose certificates are trusted, in the place of the system's (PEM).
    #[serde(default)]
    ca: Option<PathBuf>,
}

/// A bit more than a year: whoever looks once a year sees all of it.
fn locked_days() -> u16 {
    400
}

impl S3Config {
    fn bucket(&self) -> Result<Bucket, &'static str> {
        let Self { url, region, keep_days, ca } = self;
        let url: Url = url.parse().map_err(|_| "s3: the address is none")?;
        let loopback = match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            _ => false,
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
            return Err("s3: the address is not https");
        }
        if !url.username().is_empty() || url.query().is_some() || url.fragment().is_some() {
            return Err(
                "s3: write the address as https://BUCKET.HOST/PREFIX; its key is sealed by 'mailkeep identity ledger witness-key'",
            );
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if region.is_empty() || !region.chars().all(plain) {
            return Err("s3: region is a name like eu-central-1");
        }
        if *keep_days == 0 {
            return Err("s3: keep_days: an object that is locked for no time proves nothing");
        }
        let (region, ca) = (region.clone(), ca.clone());
        Ok(Bucket { url, region, keep_days: *keep_days, ca })
    }
}

impl Config {
    pub(crate) fn witnesses(&self) -> Result<Vec<Witness>, Failure> {
        let mut all: Vec<Witness> = Vec::new();
        for WitnessConfig { name, file, command, s3 } in &self.witness {
            let refuse = |text: &str| Failure::usage(format!("[[witness]] '{name}': {text}"));
            let way = match (file, command.as_slice(), s3) {
                (Some(path), [], None) => WitnessWay::File(path.clone()),
                (None, [path, arguments @ ..], None) => {
                    WitnessWay::Program { path: path.into(), arguments: arguments.to_vec() }
                }
                (None, [], Some(s3)) => WitnessWay::Bucket(s3.bucket().map_err(refuse)?),
                _ => return Err(refuse("name one of file, command and s3")),
            };
            if name.is_empty() || all.iter().any(|one| one.name == *name) {
                return Err(refuse("each needs a name of its own"));
            }
            all.push(Witness { name: name.clone(), way });
        }
        Ok(all)
    }
}

/// `[signer]`: a signer of another machine.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignerConfig {
    /// `tls://HOST:PORT`; empty: the signer of this machine, at the socket in the data directory.
    url: String,
    /// What this worker proves itself with (PEM), as `mailkeep signer enroll` wrote it.
    certificate: PathBuf,
    /// Its key (PEM).
    key: PathBuf,
    /// The signer's own authority (PEM).
    authority: PathBuf,
}

impl SignerConfig {
    /// The signer of another machine; `None` for the one of this machine.
    pub(crate) fn port(&self) -> Result<Option<SignerPort>, Failure> {
        let refuse = |text: &str| Failure::usage(format!("[signer] {text}"));
        let files = [&self.certificate, &self.key, &self.authority];
        let named = files.iter().filter(|path| !path.as_os_str().is_empty()).count();
        if self.url.is_empty() {
            return match named {
                0 => Ok(None),
                _ => Err(refuse("url is missing")),
            };
        }
        if named < files.len() {
            return Err(refuse("certificate, key and authority belong to url: name all three"));
        }
        let url: Url = self.url.parse().map_err(|error| refuse(&format!("url: {error}")))?;
        let plain = url.scheme() == "tls"
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty();
        let (Some(host), Some(port), true) = (url.host_str(), url.port(), plain) else {
            return Err(refuse("url: write it as tls://HOST:PORT"));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let files = WorkerFiles {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            authority: self.authority.clone(),
        };
        SignerPort::new(host, port, files).map(Some).map_err(|error| refuse(&error.to_string()))
    }
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
    /// Whether task lists (To Do) are backed up. Their right cannot be limited to some mailboxes.
    tasks: bool,
    /// Whether the provider's full-fidelity stream is kept beside messages, events and contacts, and
    /// what is given out as a stream only: sticky notes, contact groups.
    streams: bool,
    /// Whether archive mailboxes are backed up, as streams.
    archive: bool,
    /// Whether what was purged is backed up, for as long as the provider keeps it.
    recoverable_items: bool,
}

impl Default for BackupConfig {
    fn default() -> Self {
        let Extras { tasks, streams, archive, recoverable_items } = Extras::default();
        let round_items = PassLimits::default().round_items;
        Self { round_items, compare_days: 7, tasks, streams, archive, recoverable_items }
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

    pub(crate) fn extras(&self) -> Extras {
        let Self { tasks, streams, archive, recoverable_items, .. } = *self;
        Extras { tasks, streams, archive, recoverable_items }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// 30 days: who wants fewer passes does not want them run by a service, and a time that far ahead
/// can always be represented.
const LONGEST_INTERVAL_SECONDS: u64 = 30 * 24 * 60 * 60;

/// Keys are due ten days before they end; half of that is left for what goes wrong.
const MOST_SPREAD_HOURS: u16 = 120;

/// `[serve]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServeConfig {
    /// Seconds between the beginnings of two passes of a tenant; one second at least, 30 days at
    /// most.
    interval_seconds: u64,
    /// Seconds between the making of two keys for the next time, each of which takes a processor for a
    /// quarter of a second. From 0 to 3600.
    seconds_between_keys: u16,
    /// Hours within which keys that are due on the same day are changed, each tenant's at a moment of its
    /// own. From 0 to 120: keys are due ten days before they end.
    spread_hours: u16,
    /// Days for which receipts, the journal and what the provider's logs said are kept. From 60 to 36500.
    keep_evidence_days: u16,
    notifications: NotificationsConfig,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            interval_seconds: 300,
            seconds_between_keys: 2,
            spread_hours: 72,
            keep_evidence_days: 400,
            notifications: NotificationsConfig::default(),
        }
    }
}

/// `[serve.notifications]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NotificationsConfig {
    /// Under which address the provider reaches `listen`; empty: there are no notifications.
    url: String,
    /// Where to listen on this machine.
    listen: SocketAddr,
    /// Certificate with its chain (PEM), for TLS without anything in front; empty: something in
    /// front does it.
    certificate: PathBuf,
    /// The certificate's key (PEM).
    key: PathBuf,
    /// Instead of files: the directory of a certificate authority that speaks ACME; empty: none.
    acme_directory: String,
    /// The address that it may write to; empty: none.
    acme_contact: String,
    /// Who vouches for a private authority's own server (PEM); empty: whom the system trusts.
    acme_ca: PathBuf,
    /// The oldest TLS that is spoken.
    oldest_tls: TlsVersion,
}

/// Versions of TLS.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) enum TlsVersion {
    #[serde(rename = "1.2")]
    V1_2,
    #[default]
    #[serde(rename = "1.3")]
    V1_3,
}

impl Default for NotificationsConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8473)),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            acme_directory: String::new(),
            acme_contact: String::new(),
            acme_ca: PathBuf::new(),
            oldest_tls: TlsVersion::default(),
        }
    }
}

/// What the listener for notifications is called where its certificates are kept.
pub(crate) const NOTIFICATIONS: &str = "notifications";

impl NotificationsConfig {
    /// How notifications are taken; `None`: not at all.
    fn options(&self, data: &DataDirectory) -> Result<Option<NotifyOptions>, Failure> {
        let refuse = |text: String| Failure::usage(format!("[serve.notifications] {text}"));
        if self.url.is_empty() {
            return Ok(None);
        }
        let url: Url = self.url.parse().map_err(|error| refuse(format!("url: {error}")))?;
        let is_here = url.host_str().is_some_and(|host| {
            let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            address.is_ok_and(|address| address.is_loopback())
        });
        if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
            return Err(refuse("url: Microsoft notifies https addresses alone".into()));
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(refuse("url: scheme, host, port and path, and nothing else".into()));
        }
        let tls = self.source(&url, data)?.map(|source| ListenerOptions {
            oldest: match self.oldest_tls {
                TlsVersion::V1_2 => OldestTls::V1_2,
                TlsVersion::V1_3 => OldestTls::V1_3,
            },
            status_file: Some(data.tls_status(NOTIFICATIONS)),
            ..ListenerOptions::new(source)
        });
        let timing = HintTiming::default();
        Ok(Some(NotifyOptions { listen: self.listen, url, tls, timing }))
    }
}

impl NotificationsConfig {
    /// Where the certificate comes from; `None`: something in front has it.
    fn source(
        &self,
        url: &Url,
        data: &DataDirectory,
    ) -> Result<Option<CertificateSource>, Failure> {
        let refuse = |text: &str| Failure::usage(format!("[serve.notifications] {text}"));
        let empty = |path: &Path| path.as_os_str().is_empty();
        let files = match (empty(&self.certificate), empty(&self.key)) {
            (true, true) => None,
            (false, false) => {
                Some(TlsFiles { certificate: self.certificate.clone(), key: self.key.clone() })
            }
            _ => return Err(refuse("certificate and key belong together: name both")),
        };
        match (files, self.acme_directory.is_empty()) {
            (Some(_), false) => Err(refuse(
                "the certificate comes from files or from acme_directory, not from both",
            )),
            (Some(files), true) => Ok(Some(CertificateSource::Files(files))),
            (None, true) => Ok(None),
            (None, false) => {
                let directory = self.acme_directory.parse();
                let host = url.host_str().ok_or_else(|| refuse("url: no host in it"))?;
                Ok(Some(CertificateSource::Acme(Acme {
                    directory: directory
                        .map_err(|error| refuse(&format!("acme_directory: {error}")))?,
                    names: vec![host.to_owned()],
                    contact: self.acme_contact.clone(),
                    authority: Some(self.acme_ca.clone()).filter(|path| !empty(path)),
                    storage: data.tls_storage(NOTIFICATIONS),
                })))
            }
        }
    }
}

impl ServeConfig {
    /// How long evidence is kept.
    pub(crate) fn keep_evidence(&self) -> time::Duration {
        time::Duration::days(self.keep_evidence_days.clamp(60, 36_500).into())
    }

    pub(crate) fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_seconds.clamp(1, LONGEST_INTERVAL_SECONDS))
    }

    pub(crate) fn keys(&self) -> KeyTending {
        let hours = u32::from(self.spread_hours.min(MOST_SPREAD_HOURS));
        KeyTending {
            between_keys: Duration::from_secs(self.seconds_between_keys.min(3600).into()),
            spread: Duration::from_secs(60 * 60) * hours,
            ..KeyTending::default()
        }
    }

    /// How notifications are taken; `None`: not at all.
    pub(crate) fn notifications(
        &self,
        data: &DataDirectory,
    ) -> Result<Option<NotifyOptions>, Failure> {
        self.notifications.options(data)
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
        assert_eq!(config.backup.extras(), Extras::default());
        let config: Config = toml::from_str("[backup]\ntasks = true\n").unwrap();
        assert_eq!(config.backup.extras(), Extras { tasks: true, ..Extras::default() });
    }

    #[test]
    fn notifications_are_off_until_an_address_is_given_that_the_provider_can_use() {
        let read = |text: &str| {
            let config: Config = toml::from_str(text).unwrap();
            config.serve.notifications(&DataDirectory::new("data"))
        };
        assert!(read("").unwrap().is_none());
        let on = "[serve]\nnotifications = { listen = '127.0.0.1:9', url = 'https://a.example/x' }";
        let options = read(on).unwrap().unwrap();
        assert_eq!((options.listen.port(), options.url.path()), (9, "/x"));
        assert!(options.tls.is_none());
        for bad in
            ["http://a.example/", "https://a.example/?x=y", "a.example", "https://u@a.example/"]
        {
            let text = format!("[serve.notifications]\nurl = '{bad}'");
            assert!(read(&text).is_err(), "{bad}");
        }
        let half = "[serve.notifications]\nurl = 'https://a.example/'\nkey = 'x'";
        assert!(read(half).is_err());
        let acme = "[serve.notifications]\nurl = 'https://a.example:444/'\n\
                    acme_directory = 'https://ca.example/dir'\n";
        let tls = read(acme).unwrap().unwrap().tls.unwrap();
        let CertificateSource::Acme(found) = tls.source else { panic!("{tls:?}") };
        assert_eq!((found.names, found.authority), (vec!["a.example".to_owned()], None));
        assert_eq!(found.storage, Path::new("data/tls/notifications"));
        assert_eq!(tls.oldest, OldestTls::V1_3);
        assert!(read(&format!("{acme}certificate = 'x'\nkey = 'y'")).is_err());
        assert!(toml::from_str::<Config>("[serve.notifications]\noldest_tls = '1.1'").is_err());
    }

    #[test]
    fn the_signer_of_another_machine_needs_an_address_and_three_files() {
        let read = |text: &str| toml::from_str::<Config>(text).unwrap().signer.port();
        assert!(read("").unwrap().is_none());
        let files = "certificate = 'c'\nkey = 'k'\nauthority = 'a'";
        for (url, shown) in
            [("tls://s.example:8474", "s.example:8474"), ("tls://[::1]:1", "[::1]:1")]
        {
            let port = read(&format!("[signer]\nurl = '{url}'\n{files}")).unwrap().unwrap();
            assert_eq!(port.to_string(), shown);
        }
        for url in ["https://s.example:1", "tls://s.example", "tls://s.example:1/x", "s.example:1"]
        {
            assert!(read(&format!("[signer]\nurl = '{url}'\n{files}")).is_err(), "{url}");
        }
        assert!(read("[signer]\nurl = 'tls://s.example:1'\nkey = 'k'").is_err());
        assert!(read(&format!("[signer]\n{files}")).is_err());
    }

    #[test]
    fn an_absurd_interval_does_not_end_the_service() {
        let longest = ServeConfig { interval_seconds: u64::MAX, ..ServeConfig::default() };
        let longest = longest.interval();
        assert_eq!(longest, Duration::from_secs(30 * 86_400));
        assert!(std::time::Instant::now().checked_add(longest).is_some());
        let none = ServeConfig { interval_seconds: 0, ..ServeConfig::default() };
        assert_eq!(none.interval(), Duration::from_secs(1));
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
            if settings.is_empty() {
                // One that may stand there several times has no default; it has an example.
                assert!(text.contains(&format!("\n[[{section}]]\n")), "{section}");
                let settings = known(&format!("[[{section}]]\nunknown = 1"));
                assert!(!settings.is_empty(), "{section}");
                for setting in settings {
                    assert!(text.contains(&format!("\n{setting} = ")), "[[{section}]] {setting}");
                }
                continue;
            }
            for setting in settings {
                assert!(named[&section].get(&setting).is_some(), "[{section}] {setting}");
            }
        }
        for setting in known("[serve.notifications]\nunknown = 1") {
            let documented = named["serve"]["notifications"].get(&setting);
            assert!(documented.is_some(), "[serve.notifications] {setting}");
        }
    }
}
