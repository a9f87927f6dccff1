//! Faults on demand: rules that make some requests slow, refused or cut off.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids;
use crate::operation::Operation;
use crate::seed::Rng;

/// Longest delay that a rule may ask for.
const LONGEST_DELAY_MS: u64 = 600_000;

/// One rule. A request that fits all of `operation`, `mailbox` and `item` that are given is hit
/// with `probability`, at most `times` times.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<Operation>,
    /// Address or object id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mailbox: Option<String>,
    /// A message's id, of either kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<String>,
    /// Answer with this status. 410 fits only requests that carry a delta token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Error code in the answer; for `token` the number of an AADSTS error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Seconds for `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    /// Cut the connection in the middle of the answer.
    #[serde(default)]
    reset: bool,
    /// Wait before answering.
    #[serde(default)]
    delay_ms: u64,
    #[serde(default = "always")]
    probability: f64,
    /// How often the rule may hit; always when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    /// Makes the hits of `probability` the same in every run.
    #[serde(default)]
    seed: u64,
    /// How often it has hit.
    #[serde(default)]
    hits: u64,
}

fn always() -> f64 {
    1.0
}

/// What is asked, for a rule to be compared with.
pub(crate) struct Subject<'a> {
    pub(crate) operation: Operation,
    pub(crate) mailbox: Option<&'a str>,
    pub(crate) mailbox_id: Option<Uuid>,
    /// The id in the request, and the item that it names.
    pub(crate) item: Option<&'a str>,
    pub(crate) item_number: Option<u64>,
    pub(crate) has_token: bool,
}

/// What the rules do to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effect {
    pub(crate) delay_ms: u64,
    pub(crate) reset: bool,
    pub(crate) refusal: Option<Refused>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) retry_after: Option<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// So that a lab without rules takes no lock.
    any: AtomicBool,
    rules: Mutex<Vec<(Rule, Rng)>>,
}

impl Faults {
    /// Replaces all rules.
    pub(crate) fn set(&self, rules: Vec<Rule>) -> Result<(), String> {
        for rule in &rules {
            rule.check()?;
        }
        self.any.store(!rules.is_empty(), Ordering::Release);
        let rules = rules.into_iter().map(|rule| {
            let rng = Rng::new(rule.seed);
            (rule, rng)
        });
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules.collect();
        Ok(())
    }

    pub(crate) fn rules(&self) -> Vec<Rule> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// Applies the rules in their order: delays add up, the first refusal counts.
    pub(crate) fn effect(&self, subject: &Subject<'_>) -> Effect {
        let mut effect = Effect::default();
        if !self.any.load(Ordering::Acquire) {
            return effect;
        }
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for (rule, rng) in rules.iter_mut() {
            if !rule.fits(subject) || rule.times.is_some_and(|times| rule.hits >= times) {
                continue;
            }
            let refusal = rule.refusal();
            if refusal.is_some() && effect.refusal.is_some() {
                continue;
            }
            if rng.fraction() >= rule.probability {
                continue;
            }
            rule.hits += 1;
            effect.delay_ms += rule.delay_ms;
            effect.reset |= rule.reset;
            effect.refusal = effect.refusal.take().or(refusal);
        }
        effect
    }
}

impl Rule {
    fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err("probability must be between 0 and 1".to_owned());
        }
        if self.delay_ms > LONGEST_DELAY_MS {
            return Err(format!("delay_ms may be {LONGEST_DELAY_MS} at most"));
        }
        if self.status.is_some_and(|status| !(400..=599).contains(&status)) {
            return Err("status must be between 400 and 599".to_owned());
        }
        if self.refusal().is_none() && !self.reset && self.delay_ms == 0 {
            return Err("the rule does nothing: give status, code, reset or delay_ms".to_owned());
        }
        Ok(())
    }

    fn refusal(&self) -> Option<Refused> {
        if self.status.is_none() && self.code.is_none() {
            return None;
        }
        Some(Refused {
            status: self.status.unwrap_or(500),
            code: self.code.clone(),
            retry_after: self.retry_after,
        })
    }

    fn fits(&self, subject: &Subject<'_>) -> bool {
        let mailbox = self.mailbox.as_deref().is_none_or(|wanted| {
            subject.mailbox.is_some_and(|address| address.eq_ignore_ascii_case(wanted))
                || subject.mailbox_id.is_some_and(|id| Uuid::try_parse(wanted) == Ok(id))
        });
        // Either kind of id names the item, in the rule and in the request.
        let item = self.item.as_deref().is_none_or(|wanted| {
            let number = |id| Some(ids::parse_item_id(subject.mailbox_id?, id)?.item());
            subject.item == Some(wanted)
                || (subject.item_number.is_some() && subject.item_number == number(wanted))
        });
        self.operation.is_none_or(|operation| operation == subject.operation)
            && mailbox
            && item
            && (self.status != Some(410) || subject.has_token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(operation: Operation) -> Subject<'static> {
        Subject {
            operation,
            mailbox: Some("a@b.example"),
            mailbox_id: Some(Uuid::nil()),
            item: None,
            item_number: None,
            has_token: false,
        }
    }

    fn rules(json: &str) -> Faults {
        let faults = Faults::default();
        faults.set(serde_json::from_str(json).unwrap()).unwrap();
        faults
    }

    #[test]
    fn a_rule_hits_what_it_names_and_as_often_as_it_says() {
        let faults = rules(
            r#"[{"operation":"message.value","mailbox":"A@B.example","status":503,"retry_after":2,"times":2}]"#,
        );
        assert_eq!(faults.effect(&subject(Operation::MessagesDelta)), Effect::default());
        for _ in 0..2 {
            let refusal = faults.effect(&subject(Operation::MessageValue)).refusal.unwrap();
            assert_eq!((refusal.status, refusal.retry_after), (503, Some(2)));
        }
        assert_eq!(faults.effect(&subject(Operation::MessageValue)), Effect::default());
        assert_eq!(faults.rules()[0].hits, 2);
    }

    #[test]
    fn a_seed_makes_the_same_requests_fail_again() {
        let hits = || {
            let faults = rules(r#"[{"status":500,"probability":0.3,"seed":7}]"#);
            (0..200)
                .map(|_| faults.effect(&subject(Operation::MessageShow)).refusal.is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(hits(), hits());
        let count = hits().into_iter().filter(|hit| *hit).count();
        assert!((30..90).contains(&count), "{count}");
    }

    #[test]
    fn a_rule_that_cannot_work_is_refused() {
        for bad in [r#"{}"#, r#"{"status":200}"#, r#"{"status":500,"probability":2}"#] {
            let rule: Rule = serde_json::from_str(bad).unwrap();
            assert!(Faults::default().set(vec![rule]).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Rule>(r#"{"operation":"nonsense"}"#).is_err());
    }
}
