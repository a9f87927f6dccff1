//! Which addresses an application may sign in from: Conditional Access for workload identities
//! (<https://learn.microsoft.com/entra/identity/conditional-access/workload-identity>).

use std::collections::BTreeSet;

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
        let mut ranges: Option<BTreeSet<String>> = None;
        let mut policies = BTreeSet::new();
        for policy in locking(PolicyState::Enabled) {
            let allowed = allowed(policy, rules);
            ranges = Some(match ranges {
                None => allowed,
                Some(before) => before.intersection(&allowed).cloned().collect(),
            });
            policies.insert(policy.name.clone());
        }
        if let Some(ranges) = ranges {
            return Self::Locked { ranges, policies };
        }
        let policies: BTreeSet<String> =
            locking(PolicyState::ReportOnly).map(|policy| policy.name.clone()).collect();
        if policies.is_empty() { Self::Open } else { Self::ReportOnly { policies } }
    }

    /// Whether `now` lets in from where this did not. A range that lies in one of ours is no more than
    /// that; of one that is written otherwise, nobody can tell.
    pub(super) fn is_weaker_in(&self, now: &Self) -> bool {
        match (self, now) {
            (Self::Locked { ranges, .. }, Self::Locked { ranges: after, .. }) => {
                after.iter().any(|range| !lies_in(range, ranges))
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

fn lies_in(range: &str, ranges: &BTreeSet<String>) -> bool {
    let Ok(range) = range.parse::<ipnet::IpNet>() else { return ranges.contains(range) };
    ranges.iter().filter_map(|one| one.parse::<ipnet::IpNet>().ok()).any(|one| one.contains(&range))
}

/// Whether a policy refuses tokens to the principal from everywhere but some places.
fn locks(policy: &AccessPolicy, principal: &str) -> bool {
    let about =
        policy.principals.iter().any(|one| one == principal || one == AccessPolicy::ALL_PRINCIPALS)
            && !policy.principals_excluded.iter().any(|one| one == principal);
    about && policy.blocks && policy.locations.iter().any(|one| one == AccessPolicy::EVERYWHERE)
}

/// The places where it does not hold.
fn allowed(policy: &AccessPolicy, rules: &AccessRules) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for excluded in &policy.locations_excluded {
        let trusted = excluded == AccessPolicy::TRUSTED;
        let named = rules
            .locations
            .iter()
            .filter(|location| location.id == *excluded || (trusted && location.trusted));
        let before = allowed.len();
        for location in named {
            match location.ranges.as_slice() {
                // A country.
                [] => drop(allowed.insert(location.name.clone())),
                ranges => allowed.extend(ranges.iter().cloned()),
            }
        }
        if allowed.len() == before && !trusted {
            allowed.insert(excluded.clone());
        }
    }
    allowed
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
            }],
            locations: vec![NamedLocation {
                id: "office".to_owned(),
                name: "Office".to_owned(),
                trusted: false,
                ranges: ranges.iter().map(|range| (*range).to_owned()).collect(),
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
    fn a_policy_that_does_not_hold_for_us_is_no_lock() {
        let mut excluded = rules(PolicyState::Enabled, &["192.0.2.0/24"]);
        excluded.policies[0].principals = vec![AccessPolicy::ALL_PRINCIPALS.to_owned()];
        assert!(matches!(Lock::of("us", &excluded), Lock::Locked { .. }));
        excluded.policies[0].principals_excluded = vec!["us".to_owned()];
        assert_eq!(Lock::of("us", &excluded), Lock::Open);
        let mut some = rules(PolicyState::Enabled, &["192.0.2.0/24"]);
        some.policies[0].locations = vec!["elsewhere".to_owned()];
        assert_eq!(Lock::of("us", &some), Lock::Open);
    }
}
