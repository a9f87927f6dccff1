use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::{
    Action, Envelope, Party, PolicyError, Rule,
    mistake::hint,
    rules::{Named, is_one_of},
};
use crate::Executive;

/// A policy file: whose mail it is about, and what follows.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    dry_run: bool,
    own_domains: Vec<String>,
    partner_domains: Vec<String>,
    executives: Vec<Executive>,
    groups: BTreeMap<String, Vec<String>>,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    dry_run: bool,
    own_domains: Vec<Spanned<String>>,
    partner_domains: Vec<Spanned<String>>,
    executives: Vec<Person>,
    groups: BTreeMap<String, Vec<Spanned<String>>>,
    verdict: Verdicts,
    rule: Vec<Rule>,
    sensitive: Vec<Rule>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            // Nobody's mail is touched because somebody tried something out.
            dry_run: true,
            own_domains: Vec::new(),
            partner_domains: Vec::new(),
            executives: Vec::new(),
            groups: BTreeMap::new(),
            verdict: Verdicts::default(),
            rule: Vec::new(),
            sensitive: Vec::new(),
        }
    }
}

/// `[verdict]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Verdicts {
    sensitive: Option<Action>,
    suspicious: Option<Action>,
    malicious: Option<Action>,
}

/// A name, or a name with the addresses that are theirs.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "an executive is \"First Last\" or { name = \"…\", addresses = [\"…\"] }"
)]
enum Person {
    Name(String),
    #[serde(rename_all = "snake_case")]
    Known(Known),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    name: String,
    #[serde(default)]
    addresses: Vec<String>,
}

impl Policy {
    /// Reads a policy. `named` are the dictionaries and lists of values that there are beside the
    /// entities of our own, for rules to name.
    ///
    /// # Errors
    ///
    /// With line and key, when it is not TOML, has a key that is not known, names an entity, a
    /// detector or a group that there is not, has two rules of one name, or one that is about
    /// nothing.
    pub fn from_toml(text: &str, named: &[&str]) -> Result<Self, PolicyError> {
        let file: File =
            toml::from_str(text).map_err(|error| PolicyError::of_toml(text, &error))?;
        let groups: BTreeSet<&str> = file.groups.keys().map(String::as_str).collect();
        let mut seen = BTreeSet::new();
        let of_rules = file.rule.iter().map(|rule| (rule, Named::Rule));
        let all = of_rules.chain(file.sensitive.iter().map(|rule| (rule, Named::Sensitive)));
        for (rule, kind) in all {
            rule.check(text, kind, named, &groups)?;
            if !seen.insert(rule.name()) {
                let problem = format!("two rules are called '{}'", rule.name());
                return Err(PolicyError::at(text, rule.name.span(), "name", problem));
            }
        }
        for domain in file.own_domains.iter().chain(&file.partner_domains) {
            check_domain(text, domain)?;
        }
        for address in file.groups.values().flatten() {
            if !address.get_ref().contains('@') {
                let problem = format!(
                    "'{}' is no address; everybody of a domain is '*@{0}'",
                    address.get_ref()
                );
                return Err(PolicyError::at(text, address.span(), "groups", problem));
            }
        }
        let Verdicts { sensitive, suspicious, malicious } = file.verdict;
        let rules = Rule::of_verdicts(sensitive, suspicious, malicious).into_iter();
        let sensitive = file.sensitive.into_iter().map(Rule::about_sensitive_content);
        let plain = |domains: Vec<Spanned<String>>| {
            let lower = |domain: Spanned<String>| domain.get_ref().trim_matches('.').to_lowercase();
            domains.into_iter().map(lower).collect()
        };
        let members = |(name, members): (String, Vec<Spanned<String>>)| {
            (name, members.into_iter().map(Spanned::into_inner).collect())
        };
        Ok(Self {
            dry_run: file.dry_run,
            own_domains: plain(file.own_domains),
            partner_domains: plain(file.partner_domains),
            executives: file.executives.into_iter().map(Executive::from).collect(),
            groups: file.groups.into_iter().map(members).collect(),
            rules: rules.chain(file.rule).chain(sensitive).collect(),
        })
    }

    /// Whether nothing follows, whatever rules say.
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }

    /// The organisation's own domains, in lower case, beside those that its provider names.
    pub fn own_domains(&self) -> &[String] {
        &self.own_domains
    }

    /// Domains of those that the organisation works with, in lower case.
    pub fn partner_domains(&self) -> &[String] {
        &self.partner_domains
    }

    /// People whose names are used to deceive others.
    pub fn executives(&self) -> &[Executive] {
        &self.executives
    }

    /// The rules: those of `[verdict]`, then the others in the order of the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Who sends to whom, of a message from this address to these. `own_domains` are those that the
    /// provider names; the policy's come on top.
    pub fn envelope(
        &self,
        own_domains: &[String],
        sender: Option<&str>,
        recipients: &[String],
    ) -> Envelope {
        let party = |address: &str| {
            let address = address.trim().to_lowercase();
            let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
            let own = own_domains.iter().chain(&self.own_domains);
            let groups = self.groups.iter().filter(|(_, members)| is_one_of(&address, members));
            Party {
                groups: groups.map(|(name, _)| name.clone()).collect(),
                inside: own.into_iter().any(|own| is_under(domain, own)),
                partner: self.partner_domains.iter().any(|partner| is_under(domain, partner)),
                address,
            }
        };
        Envelope {
            sender: sender.map(party).unwrap_or_default(),
            recipients: recipients.iter().map(|address| party(address)).collect(),
        }
    }
}

/// Whether a domain is that one, or under it.
fn is_under(domain: &str, above: &str) -> bool {
    let above = above.trim_matches('.').to_lowercase();
    let front = domain.strip_suffix(&above);
    !above.is_empty() && front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

fn check_domain(text: &str, domain: &Spanned<String>) -> Result<(), PolicyError> {
    let written = domain.get_ref();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !written.is_empty() && written.chars().all(plain) {
        return Ok(());
    }
    let problem = match written.rsplit_once('@') {
        Some((_, domain)) => {
            format!("'{written}' is no domain{}", hint(written, [domain].into_iter()))
        }
        None => format!("'{written}' is no domain; write it as corp.example"),
    };
    Err(PolicyError::at(text, domain.span(), "", problem))
}

impl From<Person> for Executive {
    fn from(person: Person) -> Self {
        match person {
            Person::Name(name) => Self { name, addresses: Vec::new() },
            Person::Known(Known { name, addresses }) => Self { name, addresses },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Direction, Senders};

    fn read(text: &str) -> Policy {
        Policy::from_toml(text, &[]).unwrap()
    }

    #[test]
    fn a_file_from_before_there_were_rules_is_still_read_and_does_nothing() {
        let policy = read("own_domains = [\"Corp.example\"]\nexecutives = [\"Ann Chief\"]\n");
        assert_eq!(
            (policy.own_domains(), policy.dry_run()),
            (&["corp.example".to_owned()][..], true)
        );
        assert_eq!(policy.executives()[0].name, "Ann Chief");
        assert!(read("").rules().is_empty());
    }

    #[test]
    fn an_executive_is_known_by_name_and_addresses() {
        let policy = read(
            "executives = [\"Ann Chief\", { name = \"Bo Boss\", addresses = [\"bo@home.example\"] }]",
        );
        assert_eq!(policy.executives()[1].addresses, ["bo@home.example"]);
        let other = read("[[executives]]\nname = \"Bo Boss\"\n");
        assert_eq!(other.executives()[0].name, "Bo Boss");
        let error = Policy::from_toml("executives = [{ nme = \"Bo\" }]", &[]).unwrap_err();
        assert!(error.problem.contains("an executive is"), "{error}");
    }

    #[test]
    fn a_verdict_alone_is_a_rule() {
        let policy =
            read("dry_run = false\n[verdict]\nmalicious = \"remove\"\nsensitive = \"log\"\n");
        let rules: Vec<(&str, Action)> =
            policy.rules().iter().map(|rule| (rule.name(), rule.action)).collect();
        assert_eq!(
            rules,
            [("verdict: sensitive", Action::Log), ("verdict: malicious", Action::Remove)]
        );
        assert!(policy.rules().iter().all(|rule| rule.senders == Senders::Inside));
        assert!(policy.rules().iter().all(|rule| rule.direction == Direction::Any));
    }

    #[test]
    fn who_is_inside_is_told_by_whole_domains() {
        let policy = read(
            "own_domains = [\"corp.example\"]\npartner_domains = [\"ally.example\"]\n\
             [groups]\nbilling = [\"Ben@corp.example\", \"*@pay.corp.example\"]\n",
        );
        let recipients =
            ["x@pay.corp.example", "y@notcorp.example", "z@a.ally.example", "w@other.example"];
        let recipients: Vec<String> = recipients.map(str::to_owned).into();
        let envelope =
            policy.envelope(&["other.example".to_owned()], Some("BEN@Corp.example"), &recipients);
        assert!(envelope.sender.inside && envelope.sender.groups == ["billing"]);
        let told: Vec<(bool, bool, usize)> = envelope
            .recipients
            .iter()
            .map(|party| (party.inside, party.partner, party.groups.len()))
            .collect();
        assert_eq!(told, [(true, false, 1), (false, false, 0), (false, true, 0), (true, false, 0)]);
        assert!(!policy.envelope(&[], None, &[]).sender.inside);
    }

    #[test]
    fn a_domain_that_is_an_address_is_refused() {
        let error =
            Policy::from_toml("own_domains = [\n  \"ann@corp.example\",\n]\n", &[]).unwrap_err();
        assert_eq!(error.line, 2);
        let error = Policy::from_toml("[groups]\nbilling = [\"corp.example\"]\n", &[]).unwrap_err();
        assert!(error.line == 2 && error.problem.contains("'*@corp.example'"), "{error}");
    }
}
