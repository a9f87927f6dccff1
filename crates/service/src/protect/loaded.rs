use std::{borrow::Cow, fmt, path::PathBuf, sync::Arc, time::Duration};

use mailkeep_inspect::{
    Context, Dictionary, ExactList, Feeds, Limits, MaskKey, OpenMessage, Report, RuleRead, Scanned,
    Sender, inspect_rule, inspect_text,
    policy::{Decision, Policy, decide},
};
use mailkeep_model::Verdict;
use serde_json::Value;
use time::OffsetDateTime;

use super::{ClamAv, RuleScanner, scan::scan};

/// What there is to inspect with at one moment, for one tenant.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    pub(super) policy: Option<Arc<Policy>>,
    pub(super) feeds: Arc<Feeds>,
    pub(super) dictionaries: Arc<Vec<Dictionary>>,
    pub(super) lists: Arc<Vec<ExactList>>,
    pub(super) rules: Option<Arc<dyn RuleScanner>>,
    pub(super) clamav: Option<Arc<ClamAv>>,
    pub(super) scan_time: Duration,
    pub(super) act_within: Duration,
}

/// What a message is inspected for, beside what was loaded.
#[derive(Clone, Copy)]
pub struct For<'a> {
    /// The organisation's own domains, as the provider names them.
    pub own_domains: &'a [String],
    /// The key that masks evidence.
    pub mask_key: &'a MaskKey,
    /// The mailbox that sent it, where it is one that we know.
    pub sender: Option<Sender<'a>>,
}

/// A message that was read and scanned, and is not judged yet.
#[derive(Debug)]
pub struct ScannedMessage {
    message: OpenMessage,
    scanned: Option<Scanned>,
}

impl Loaded {
    /// The policy, when there is one.
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_deref()
    }

    /// Whether scanners look at messages, which takes longer than a message should hold up others.
    pub fn scans(&self) -> bool {
        self.clamav.is_some() || self.rules.is_some()
    }

    /// How old mail may be for anything to follow from its verdict.
    pub fn act_within(&self) -> Duration {
        self.act_within
    }

    /// Inspects a message of `whole_size` bytes of which `prefix` is at hand. Waits for scanners.
    pub fn inspect(&self, prefix: &[u8], whole_size: u64, of: For<'_>) -> Report {
        self.judge(self.scan(prefix, whole_size), of)
    }

    /// Reads a message, and has scanners look at it; waits for them.
    pub fn scan(&self, prefix: &[u8], whole_size: u64) -> ScannedMessage {
        self.scanned(OpenMessage::read(prefix, whole_size, &Limits::default()), prefix)
    }

    /// What is in a message, and what it comes to; waits for nothing.
    pub fn judge(&self, message: ScannedMessage, of: For<'_>) -> Report {
        let ScannedMessage { message, scanned } = message;
        self.with_context(of, |context| match &scanned {
            Some(scanned) => message.inspect(&context.with_scanned(scanned)),
            None => message.inspect(&context),
        })
    }

    /// Inspects a file that is not a message. Waits for scanners.
    pub fn inspect_attachment(&self, name: &str, bytes: &[u8], of: For<'_>) -> Verdict {
        let file = OpenMessage::of_attachment(name, bytes, &Limits::default());
        // The file is its only piece: there is no message around it.
        self.judge(self.scanned(file, &[]), of).verdict
    }

    /// Inspects an inbox rule; `folder` is the name of the folder that it moves mail to.
    pub fn inspect_rule(
        &self,
        rule: &Value,
        folder: Option<&str>,
        of: For<'_>,
    ) -> (Verdict, RuleRead) {
        self.with_context(of, |context| inspect_rule(rule, folder, &context))
    }

    /// Inspects plain text.
    pub fn inspect_text(&self, text: &str, of: For<'_>) -> Verdict {
        self.with_context(of, |context| inspect_text(text, &context))
    }

    /// What the policy says; `None` without one. `recipients` come on top of those that the report
    /// names.
    pub fn decide(
        &self,
        report: &Report,
        sender: Option<&str>,
        recipients: &[String],
        own_domains: &[String],
    ) -> Option<Decision> {
        let policy = self.policy()?;
        let mut to: Vec<String> = report
            .recipients
            .iter()
            .chain(recipients)
            .map(|address| address.to_lowercase())
            .collect();
        to.sort();
        to.dedup();
        let envelope = policy.envelope(own_domains, sender.or(report.sender.as_deref()), &to);
        Some(decide(policy, &envelope, &report.verdict))
    }

    fn scanned(&self, message: OpenMessage, raw: &[u8]) -> ScannedMessage {
        let (clamav, rules) = (self.clamav.as_deref(), self.rules.as_deref());
        let scanned = self.scans().then(|| scan(&message, raw, clamav, rules, self.scan_time));
        ScannedMessage { message, scanned }
    }

    fn with_context<T>(&self, of: For<'_>, use_it: impl FnOnce(Context<'_>) -> T) -> T {
        let mut own = Cow::Borrowed(of.own_domains);
        let (mut executives, mut partners) = (&[][..], &[][..]);
        if let Some(policy) = self.policy() {
            executives = policy.executives();
            partners = policy.partner_domains();
            if !policy.own_domains().is_empty() {
                own.to_mut().extend(policy.own_domains().iter().cloned());
            }
        }
        let context = Context::new(OffsetDateTime::now_utc(), &own, of.mask_key)
            .with_executives(executives)
            .with_partners(partners)
            .with_feeds(&self.feeds)
            .with_dictionaries(&self.dictionaries)
            .with_lists(&self.lists);
        use_it(match of.sender {
            Some(sender) => context.with_sender(sender),
            None => context,
        })
    }
}

/// A file that was loaded, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// `feed`, `dictionary`, `list`, `rules` or `policy`.
    pub what: &'static str,
    /// The file.
    pub path: PathBuf,
    /// How much is in it, in its own terms.
    pub amount: String,
    /// When the file was read.
    pub read: OffsetDateTime,
    /// When its content was last changed, where the system tells.
    pub modified: Option<OffsetDateTime>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.what, self.path.display(), self.amount)
    }
}
