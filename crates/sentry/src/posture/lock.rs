//! Which addresses an application may sign in from: Conditional Access for workload identities
//! (<https://learn.microsoft.com/entra/identity/conditional-access/workload-identity>).

use std::collections::BTreeSet;

use ipnet::IpNet;
use mailkeep_model::{AccessPolicy, AccessRules, PolicyState};
use serde::{Deserialize, Serialize};

/// How an application is locked to addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "lock", rename_all = "snake_case")]
pub enum Lock {
    /// Tokens are refused from everywhere but these ranges.
    Locked {
        /// The ranges, as the provider writes them.
        ranges: BTreeSet<String>,
        /// The policies that do it.
        policies: BTreeSet<String>,
    },
    /// A policy would, but only writes into the log what it would do.
    ReportOnly {
        /// The policies.
        policies: BTreeSet<String>,
    },
    /// Nothing does.
    Open,
}

impl Lock {
    /// How a service principal (object id, lower case) is locked.
    pub(super) fn of(principal: &str, rules: &AccessRules) -> Self {
        let locking = |wanted: PolicyState| {
            let about =
                move |policy: &&AccessPolicy| policy.state == wanted && locks(policy, principal);
            rules.policies.iter().filter(about)
        };
        // Each policy refuses what is outside its places: what is left is inside all of them.
        let mut places: Option<Places> = None;
        let mut policies = BTreeSet::new();
        for policy in locking(PolicyState::Enabled) {
            let allowed = Places::allowed_by(policy, rules);
            places = Some(match places {
                None => allowed,
                Some(before) => before.and(&allowed),
            });
            policies.insert(policy.name.clone());
        }
        if let Some(places) = places {
            return Self::Locked { ranges: places.names(), policies };
        }
        let policies: BTreeSet<String> =
            locking(PolicyState::ReportOnly).map(|policy| policy.name.clone()).collect();
        if policies.is_empty() { Self::Open } else { Self::ReportOnly { policies } }
    }

    /// Whether `now` lets in from where this did not, however either is written.
    pub(super) fn is_weaker_in(&self, now: &Self) -> bool {
        match (self, now) {
            (Self::Locked { ranges, .. }, Self::Locked { ranges: after, .. }) => {
                !Places::named(after).lie_in(&Places::named(ranges))
            }
            (Self::Locked { .. }, _) => true,
            _ => false,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let list = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(", ");
        match self {
            Self::Locked { ranges, policies } => {
                let from = if ranges.is_empty() { "nowhere".to_owned() } else { list(ranges) };
                format!("may sign in from {from} (policy {})", list(policies))
            }
            Self::ReportOnly { policies } => {
                format!("may sign in from anywhere: policy {} is report-only", list(policies))
            }
            Self::Open => "may sign in from anywhere".to_owned(),
        }
    }
}

/// Whether a policy refuses tokens to the principal from everywhere but some places.
fn locks(policy: &AccessPolicy, principal: &str) -> bool {
    let about =
        policy.principals.iter().any(|one| one == principal || one == AccessPolicy::ALL_PRINCIPALS)
            && !policy.principals_excluded.iter().any(|one| one == principal);
    let always = policy.narrowed_by.is_empty();
    about
        && always
        && policy.blocks
        && policy.locations.iter().any(|one| one == AccessPolicy::EVERYWHERE)
}

/// Where somebody may sign in from.
#[derive(Clone, Debug, Default)]
struct Places {
    nets: Vec<IpNet>,
    /// Countries, and what else is no range of addresses.
    others: BTreeSet<String>,
}

impl Places {
    /// As they were written down.
    fn named(names: &BTreeSet<String>) -> Self {
        let mut places = Self::default();
        for name in names {
            if let Ok(net) = name.parse() {
                places.nets.push(net);
            } else {
                places.others.insert(name.clone());
            }
        }
        places
    }

    /// Where a policy does not hold.
    fn allowed_by(policy: &AccessPolicy, rules: &AccessRules) -> Self {
        let mut names = BTreeSet::new();
        for excluded in &policy.locations_excluded {
            let trusted = excluded == AccessPolicy::TRUSTED;
            let named: Vec<_> = rules
                .locations
                .iter()
                .filter(|location| location.id == *excluded || (trusted && location.trusted))
                .collect();
            for location in &named {
                names.extend(location.ranges.iter().cloned());
                names.extend(location.countries.iter().map(|one| format!("country {one}")));
            }
            // Nobody knows where that is.
            if named.is_empty() && !trusted {
                names.insert(format!("location {excluded}"));
            }
        }
        Self::named(&names)
    }

    /// What lies in both. Whether a country lies in a range, nobody can tell: it counts as allowed.
    fn and(&self, other: &Self) -> Self {
        let mut nets = Vec::new();
        for one in &self.nets {
            for another in &other.nets {
                if one.contains(another) {
                    nets.push(*another);
                } else if another.contains(one) {
                    nets.push(*one);
                }
            }
        }
        let others = match (self.others.is_empty(), other.others.is_empty()) {
            (false, false) => self.others.union(&other.others).cloned().collect(),
            // Of a country that one allows, those ranges that the other allows are left.
            (false, true) => {
                nets.extend(&other.nets);
                BTreeSet::new()
            }
            (true, false) => {
                nets.extend(&self.nets);
                BTreeSet::new()
            }
            (true, true) => BTreeSet::new(),
        };
        Self { nets: IpNet::aggregate(&nets), others }
    }

    fn lie_in(&self, wider: &Self) -> bool {
        let whole = IpNet::aggregate(&wider.nets);
        let nets = IpNet::aggregate(&self.nets);
        nets.iter().all(|net| whole.iter().any(|one| one.contains(net)))
            && self.others.is_subset(&wider.others)
    }

    fn names(&self) -> BTreeSet<String> {
        let nets = IpNet::aggregate(&self.nets);
        nets.iter().map(ToString::to_string).chain(self.others.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_model::NamedLocation;

    use super::*;

    fn rules(state: PolicyState, ranges: &[&str]) -> AccessRules {
        AccessRules {
            policies: vec![AccessPolicy {
                id: "p".to_owned(),
                name: "Mailkeep".to_owned(),
                state,
                principals: vec!["us".to_owned()],
                principals_excluded: Vec::new(),
                locations: vec![AccessPolicy::EVERYWHERE.to_owned()],
                locations_excluded: vec!["office".to_owned()],
                blocks: true,
                narrowed_by: Vec::new(),
            }],
            locations: vec![NamedLocation {
                id: "office".to_owned(),
                name: "Office".to_owned(),
                trusted: false,
                ranges: ranges.iter().map(|range| (*range).to_owned()).collect(),
                countries: Vec::new(),
            }],
        }
    }

    #[test]
    fn a_lock_that_lets_more_in_is_weaker_and_one_that_lets_less_in_is_not() {
        let locked = Lock::of("us", &rules(PolicyState::Enabled, &["192.0.2.0/24"]));
        let narrower = Lock::of("us", &rules(PolicyState::Enabled, &["192.0.2.7/32"]));
        let wider = Lock::of("us", &rules(PolicyState::Enabled, &["192.0.2.0/24", "0.0.0.0/1"]));
        assert!(!locked.is_weaker_in(&narrower) && !locked.is_weaker_in(&locked));
        assert!(locked.is_weaker_in(&wider) && narrower.is_weaker_in(&locked));
        for state in [PolicyState::ReportOnly, PolicyState::Disabled, PolicyState::Unknown] {
            assert!(locked.is_weaker_in(&Lock::of("us", &rules(state, &["192.0.2.0/24"]))));
        }
        assert_eq!(Lock::of("them", &rules(PolicyState::Enabled, &[])), Lock::Open);
    }

    #[test]
    fn a_lock_is_judged_by_what_it_lets_in_and_not_by_how_it_is_written() {
        let halves =
            Lock::of("us", &rules(PolicyState::Enabled, &["192.0.2.0/25", "192.0.2.128/25"]));
        let whole = Lock::of("us", &rules(PolicyState::Enabled, &["192.0.2.0/24"]));
        assert!(!halves.is_weaker_in(&whole) && !whole.is_weaker_in(&halves));
        // Two policies that let everything in between them.
        let mut two = rules(PolicyState::Enabled, &["0.0.0.0/1", "128.0.0.0/1"]);
        let other =
            rules(PolicyState::Enabled, &["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2"]);
        let mut policy = other.policies[0].clone();
        policy.locations_excluded = vec!["elsewhere".to_owned()];
        two.policies.push(policy);
        two.locations
            .push(NamedLocation { id: "elsewhere".to_owned(), ..other.locations[0].clone() });
        assert!(whole.is_weaker_in(&Lock::of("us", &two)));
        // A country more.
        let mut country = rules(PolicyState::Enabled, &[]);
        country.locations[0].countries = vec!["DE".to_owned()];
        let one = Lock::of("us", &country);
        country.locations[0].countries.push("KP".to_owned());
        assert!(one.is_weaker_in(&Lock::of("us", &country)));
    }

    #[test]
    fn a_policy_that_does_not_hold_for_us_is_no_lock() {
        let mut excluded = rules(PolicyState::Enabled, &["192.0.2.0/24"]);
        excluded.policies[0].principals = vec![AccessPolicy::ALL_PRINCIPALS.to_owned()];
        assert!(matches!(Lock::of("us", &excluded), Lock::Locked { .. }));
        excluded.policies[0].principals_excluded = vec!["us".to_owned()];
        assert_eq!(Lock::of("us", &excluded), Lock::Open);
        let mut risky = rules(PolicyState::Enabled, &["192.0.2.0/24"]);
        risky.policies[0].narrowed_by = vec!["servicePrincipalRiskLevels".to_owned()];
        assert_eq!(Lock::of("us", &risky), Lock::Open);
        let mut some = rules(PolicyState::Enabled, &["192.0.2.0/24"]);
        some.policies[0].locations = vec!["elsewhere".to_owned()];
        assert_eq!(Lock::of("us", &some), Lock::Open);
    }
}
