use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use data_encoding::HEXLOWER_PERMISSIVE;
use mailkeep_inspect::{
    Dictionary, DictionaryError, ExactList, FeedList, Feeds, ListError, MatchKey, policy::Policy,
};
use mailkeep_model::TenantName;
use time::OffsetDateTime;

use super::{
    ClamAv, Held, LoadProblem, Loaded, ProtectOptions, RuleEngine, RuleScanner, TenantFiles,
    files::{Kept, KeptFiles, Wrong, any_file, rule_file},
};

/// Bytes of each kind of file. A feed of that size has some millions of lines.
const FEED: u64 = 128 << 20;
const POLICY: u64 = 1 << 20;
const DICTIONARY: u64 = 16 << 20;
const LIST: u64 = 128 << 20;
const RULES: u64 = 16 << 20;
const KEY: u64 = 1 << 10;
/// Entries of all feeds together: about 600 MB.
const ENTRIES: usize = 4_000_000;

/// What inspection is given from outside, read again when it changes.
#[derive(Debug)]
pub struct Protection {
    options: ProtectOptions,
    engine: Option<Arc<dyn RuleEngine>>,
    clamav: Option<Arc<ClamAv>>,
    /// What was read. Whoever looks holds it, and that takes its time.
    parts: Mutex<Parts>,
    /// What is in use, by tenant; `None` is those without files of their own.
    in_use: RwLock<HashMap<Option<TenantName>, Arc<Loaded>>>,
}

/// What a look came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether anything is otherwise than before.
    pub changed: bool,
    /// What there was not the last time.
    pub new_problems: Vec<LoadProblem>,
    /// What there is no more.
    pub solved: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct Parts {
    feeds: KeptFiles<FeedList>,
    rules: KeptFiles<Vec<u8>>,
    scanner: Option<Arc<dyn RuleScanner>>,
    sets: BTreeMap<Option<TenantName>, Set>,
    /// Why what can be read is not used all the same.
    beyond: Vec<LoadProblem>,
    problems: Vec<LoadProblem>,
}

/// What is read of a tenant's files.
#[derive(Debug, Default)]
struct Set {
    policy: Kept<Policy>,
    dictionaries: KeptFiles<Dictionary>,
    lists: KeptFiles<ExactList>,
    key: Kept<MatchKey>,
    /// The dictionaries and lists that the policy was read with.
    names: BTreeSet<String>,
}

impl Default for Protection {
    /// Nothing from outside.
    fn default() -> Self {
        Self::new(ProtectOptions::default(), None)
    }
}

impl Protection {
    /// What these options name; nothing is read before the first [look](Self::look). Without an
    /// engine there are no rules of one's own.
    pub fn new(options: ProtectOptions, engine: Option<Arc<dyn RuleEngine>>) -> Self {
        let clamav = options.clamav.clone();
        let clamav = clamav.map(|address| Arc::new(ClamAv::new(address, options.scan_time)));
        Self { options, engine, clamav, parts: Mutex::default(), in_use: RwLock::default() }
    }

    /// The key that values of lists are hashed with, from the content of its file: 64 hexadecimal
    /// digits. `None` when it is none.
    pub fn list_key(bytes: &[u8]) -> Option<MatchKey> {
        read_key(bytes).ok()
    }

    /// ClamAV, when it is asked.
    pub fn clamav(&self) -> Option<&ClamAv> {
        self.clamav.as_deref()
    }

    /// Whether anything at all is named.
    pub fn is_empty(&self) -> bool {
        self.options == ProtectOptions::default()
    }

    /// What is in use for a tenant; `None` for whoever is none.
    pub fn of(&self, tenant: Option<&TenantName>) -> Arc<Loaded> {
        let in_use = self.in_use.read().unwrap_or_else(PoisonError::into_inner);
        let own = tenant.filter(|tenant| self.options.tenants.contains_key(tenant));
        let loaded = in_use.get(&own.cloned()).or_else(|| in_use.get(&None));
        loaded.cloned().unwrap_or_default()
    }

    /// Reads everything, when nothing was read yet.
    pub fn look_first(&self) {
        if self.in_use.read().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.look();
        }
    }

    /// Reads what changed. Waits for disks, and for rules to be compiled.
    pub fn look(&self) -> Look {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = &mut *parts;
        let mut changed = parts.feeds.look(&self.options.feeds, any_file, FEED, read_feed);
        changed |= self.look_at_rules(parts);
        let whose: Vec<Option<TenantName>> =
            std::iter::once(None).chain(self.options.tenants.keys().cloned().map(Some)).collect();
        for tenant in whose {
            let files = self.options.of(tenant.as_ref());
            changed |= parts.sets.entry(tenant).or_default().look(&files);
        }
        let first = self.in_use.read().unwrap_or_else(PoisonError::into_inner).is_empty();
        if !changed && !first {
            return Look::default();
        }
        self.put_to_use(parts);
        let problems: Vec<LoadProblem> = parts.all_problems().collect();
        let known = std::mem::replace(&mut parts.problems, problems.clone());
        let path = |problem: &LoadProblem| problem.path.clone();
        let now: BTreeSet<PathBuf> = problems.iter().map(path).collect();
        let before: BTreeSet<PathBuf> = known.iter().map(path).collect();
        Look {
            changed: true,
            new_problems: problems.into_iter().filter(|one| !known.contains(one)).collect(),
            solved: before.difference(&now).cloned().collect(),
        }
    }

    /// What cannot be used, as of the last look.
    pub fn problems(&self) -> Vec<LoadProblem> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).problems.clone()
    }

    /// What was loaded, as of the last look.
    pub fn held(&self) -> Vec<Held> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for (path, list, read) in parts.feeds.read() {
            let unread = match list.unread() {
                0 => String::new(),
                count => format!(", {count} lines that are none"),
            };
            all.push(held("feed", path, format!("{} entries{unread}", list.len()), read));
        }
        for (path, bytes, read) in parts.rules.read() {
            all.push(held("rules", path, format!("{} bytes", bytes.len()), read));
        }
        for set in parts.sets.values() {
            if let (Some(policy), Some(read)) = (&set.policy.value, set.policy.read) {
                let dry = if policy.dry_run() { ", in dry run: nothing follows" } else { "" };
                let amount = format!("{} rules{dry}", policy.rules().len());
                all.push(held("policy", set.policy.path(), amount, read));
            }
            for (path, dictionary, read) in set.dictionaries.read() {
                all.push(held("dictionary", path, format!("{} phrases", dictionary.len()), read));
            }
            for (path, list, read) in set.lists.read() {
                all.push(held("list", path, format!("{} hashed values", list.len()), read));
            }
        }
        // Tenants share what they have no own of.
        let mut seen = BTreeSet::new();
        all.retain(|one: &Held| seen.insert((one.what, one.path.clone())));
        all
    }

    /// How many rules of one's own are in use.
    pub fn rules(&self) -> usize {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.scanner.as_ref().map_or(0, |scanner| scanner.rules())
    }

    fn look_at_rules(&self, parts: &mut Parts) -> bool {
        let named: Vec<PathBuf> = self.options.rules.iter().cloned().collect();
        if named.is_empty() {
            return false;
        }
        let Some(engine) = &self.engine else {
            return parts.rules.look(&named, rule_file, RULES, |_, _| {
                Err((None, "this program was built without rules of one's own".to_owned()))
            });
        };
        // Each file by itself, so that a broken one leaves the others, and itself as it was.
        let changed = parts.rules.look(&named, rule_file, RULES, |path, bytes| {
            let name = path.to_string_lossy();
            match engine.compile(&[(&*name, bytes)]) {
                Ok(_) => Ok(bytes.to_vec()),
                Err(wrong) => Err(wrong.into_iter().next().map_or_else(
                    || (None, "it cannot be compiled".to_owned()),
                    |(_, wrong)| wrong,
                )),
            }
        });
        if changed {
            let names: Vec<(String, &Arc<Vec<u8>>)> = parts
                .rules
                .values()
                .map(|(path, bytes)| (path.to_string_lossy().into_owned(), bytes))
                .collect();
            let files: Vec<(&str, &[u8])> =
                names.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
            match engine.compile(&files) {
                Ok(scanner) => parts.scanner = Some(scanner).filter(|one| one.rules() > 0),
                // Never, where each by itself can: they do not see one another.
                Err(wrong) => tracing::error!(?wrong, "rules cannot be compiled together"),
            }
        }
        changed
    }

    fn put_to_use(&self, parts: &mut Parts) {
        parts.beyond.clear();
        let mut entries = 0;
        let mut lists = Vec::new();
        for (path, list) in parts.feeds.values() {
            entries += list.len();
            if entries > ENTRIES {
                entries -= list.len();
                let problem = format!(
                    "all feeds together have more than {ENTRIES} entries; this one is left out"
                );
                let path = path.to_owned();
                parts.beyond.push(LoadProblem {
                    path,
                    tenant: None,
                    line: None,
                    problem,
                    kept: false,
                });
                continue;
            }
            lists.push(Arc::clone(list));
        }
        let feeds: Arc<Feeds> = Arc::new(lists.into_iter().collect());
        let loaded = |set: &Set| {
            Arc::new(Loaded {
                policy: set.policy.value.clone(),
                feeds: Arc::clone(&feeds),
                dictionaries: Arc::new(set.dictionaries_in_use()),
                lists: Arc::new(set.lists.values().map(|(_, list)| (**list).clone()).collect()),
                rules: parts.scanner.clone(),
                clamav: self.clamav.clone(),
                scan_time: self.options.scan_time,
                act_within: self.options.act_within,
            })
        };
        let all = parts.sets.iter().map(|(tenant, set)| (tenant.clone(), loaded(set))).collect();
        *self.in_use.write().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

impl Parts {
    fn all_problems(&self) -> impl Iterator<Item = LoadProblem> {
        let of_all =
            self.feeds.problems().chain(self.rules.problems()).chain(&self.beyond).cloned();
        // The files of all come first: what a tenant shares with all is everybody's.
        let of_sets = self.sets.iter().flat_map(|(tenant, set)| {
            set.problems().map(|one| LoadProblem { tenant: tenant.clone(), ..one.clone() })
        });
        let mut seen = BTreeSet::new();
        of_all.chain(of_sets).filter(move |one| {
            let whose = |tenant: Option<&TenantName>| (one.path.clone(), one.line, tenant.cloned());
            !seen.contains(&whose(None)) && seen.insert(whose(one.tenant.as_ref()))
        })
    }
}

impl Set {
    fn look(&mut self, files: &TenantFiles) -> bool {
        let mut changed =
            self.dictionaries.look(&files.dictionaries, any_file, DICTIONARY, read_dictionary);
        if let Some(path) = &files.list_key {
            let new_key = self.key.look(path, KEY, read_key);
            if new_key && self.key.problem.is_none() {
                // What was hashed with another key is not found with this one.
                self.lists = KeptFiles::default();
            }
            changed |= new_key;
        }
        let key = self.key.value.clone();
        changed |= self.lists.look(&files.lists, any_file, LIST, |path, bytes| {
            let Some(key) = &key else {
                return Err((None, "list_key names no key that can be read".to_owned()));
            };
            read_list(path, bytes, key)
        });
        let Some(path) = &files.policy else { return changed };
        let names = self.names();
        if names != self.names {
            self.policy.forget_seen();
            self.names = names;
        }
        let named: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let read = |bytes: &[u8]| {
            let text = str::from_utf8(bytes).map_err(|error| {
                (Some(line_of(bytes, error.valid_up_to())), "no UTF-8".to_owned())
            })?;
            let wrong = |error: mailkeep_inspect::policy::PolicyError| {
                let key = error.key.map(|key| format!("{key}: ")).unwrap_or_default();
                (Some(error.line), format!("{key}{}", error.problem))
            };
            Policy::from_toml(text, &named).map_err(wrong)
        };
        changed | self.policy.look(path, POLICY, read)
    }

    /// What a policy may name beside our own entities.
    fn names(&self) -> BTreeSet<String> {
        let built_in = Dictionary::built_in();
        let built_in = built_in.iter().map(|one| one.name().to_owned());
        let dictionaries = self.dictionaries.values().map(|(_, one)| one.name().to_owned());
        let lists = self.lists.values().map(|(_, one)| one.name().to_owned());
        built_in.chain(dictionaries).chain(lists).collect()
    }

    /// Those of the organisation, and those of ours that its policy names and that it has none of the
    /// same name of: nobody asked for the others.
    fn dictionaries_in_use(&self) -> Vec<Dictionary> {
        let mut all: Vec<Dictionary> =
            self.dictionaries.values().map(|(_, one)| (**one).clone()).collect();
        let asked = |one: &Dictionary| {
            let rules = self.policy.value.iter().flat_map(|policy| policy.rules());
            rules.into_iter().any(|rule| rule.names(one.name()))
        };
        for one in Dictionary::built_in() {
            if asked(&one) && !all.iter().any(|own| own.name() == one.name()) {
                all.push(one);
            }
        }
        all
    }

    fn problems(&self) -> impl Iterator<Item = &LoadProblem> {
        let single = self.policy.problem.iter().chain(&self.key.problem);
        single.chain(self.dictionaries.problems()).chain(self.lists.problems())
    }
}

fn held(what: &'static str, path: &Path, amount: String, read: OffsetDateTime) -> Held {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    Held { what, path: path.to_owned(), amount, read, modified: modified.map(OffsetDateTime::from) }
}

/// A list is called as its file is.
fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_feed(path: &Path, bytes: &[u8]) -> Result<FeedList, Wrong> {
    FeedList::read(&name_of(path), bytes).map_err(|error| (Some(error.line), error.problem))
}

fn read_dictionary(path: &Path, bytes: &[u8]) -> Result<Dictionary, Wrong> {
    let (name, text) = (name_of(path), String::from_utf8_lossy(bytes));
    let is_toml = path.extension().is_some_and(|ending| ending == "toml");
    let read = if is_toml {
        Dictionary::from_toml(&name, &text)
    } else {
        Dictionary::from_lines(&name, &text)
    };
    read.map_err(|error| match error {
        DictionaryError::Form { line, problem } => (Some(line), problem),
        DictionaryError::TooShort { ref phrase, .. } => {
            let line = text.lines().position(|line| line.contains(phrase.as_str()));
            (line.map(|line| line + 1), error.to_string())
        }
        error => (None, error.to_string()),
    })
}

fn read_list(path: &Path, bytes: &[u8], key: &MatchKey) -> Result<ExactList, Wrong> {
    let text = String::from_utf8_lossy(bytes);
    ExactList::read(&name_of(path), key.clone(), &text).map_err(|error| match error {
        ListError::Line { line, problem } => (Some(line), problem),
        error => (None, error.to_string()),
    })
}

/// 32 bytes in hexadecimal.
fn read_key(bytes: &[u8]) -> Result<MatchKey, Wrong> {
    let decoded = HEXLOWER_PERMISSIVE.decode(bytes.trim_ascii());
    let key: Option<[u8; 32]> = decoded.ok().and_then(|bytes| bytes.try_into().ok());
    // Nothing of what stands there is told: it may be half a key.
    key.map(MatchKey::from_bytes).ok_or((Some(1), "not 64 hexadecimal digits".to_owned()))
}

fn line_of(bytes: &[u8], at: usize) -> usize {
    bytes[..at.min(bytes.len())].iter().filter(|&&byte| byte == b'\n').count() + 1
}
