//! One of many tenants, while its keys are changed.

use std::collections::{BTreeMap, BTreeSet};

use mailkeep_identity::rotation::{Order, Stage};
use mailkeep_model::{Function, TenantName};
use time::{Duration, OffsetDateTime};

use super::{
    Left, Revocation, Rotation,
    course::{Ahead, Manner},
};
use crate::{ErrorKind, ServiceError, watch::LastTokens};

/// After these times what failed is tried again; then it is reported, and left.
const TRIES: [Duration; 3] = [Duration::seconds(2), Duration::seconds(10), Duration::minutes(1)];

/// What is done with each tenant.
pub(super) struct Work {
    pub(super) order: Order,
    /// Of a revocation.
    pub(super) reason: Option<String>,
    pub(super) manner: Manner,
    pub(super) tokens: LastTokens,
}

/// A tenant that is worked on.
pub(super) struct Unit {
    /// Those that are not done.
    pub(super) functions: Vec<Function>,
    pub(super) begun: bool,
    /// For which functions the steward was asked.
    helped: BTreeSet<Function>,
    tries: usize,
    /// Why it could not be gone on with, where that may pass.
    failures: BTreeMap<Function, String>,
    pub(super) report: Revocation,
}

impl Unit {
    pub(super) fn new(tenant: &TenantName, functions: &[Function]) -> Self {
        let mut functions = functions.to_vec();
        functions.sort_by_key(|function| *function == Function::Steward);
        let report = Revocation::of(tenant);
        let (helped, failures) = (BTreeSet::new(), BTreeMap::new());
        Self { functions, begun: false, helped, tries: 0, failures, report }
    }

    pub(super) fn rotation(&self, function: Function) -> Option<&Rotation> {
        self.report.rotations.iter().find(|one| one.function == function)
    }

    fn is_settled(&self, function: Function) -> bool {
        self.rotation(function).is_some_and(|one| one.stage == Stage::Settled)
    }

    /// Puts what was done behind what was done before.
    pub(super) fn take_in(&mut self, rotation: Rotation) {
        let rotations = &mut self.report.rotations;
        match rotations.iter_mut().find(|one| one.function == rotation.function) {
            Some(known) => {
                let mut done = std::mem::take(&mut known.done);
                done.extend(rotation.done);
                *known = Rotation { done, ..rotation };
            }
            None => rotations.push(rotation),
        }
    }

    /// When it is tried again; never: what is left is in the report.
    pub(super) fn failed(
        &mut self,
        function: Function,
        error: &ServiceError,
    ) -> Option<OffsetDateTime> {
        let tenant = &self.report.tenant;
        tracing::warn!(%tenant, %function, %error, "a key could not be changed");
        if may_pass(error)
            && let Some(pause) = TRIES.get(self.tries)
        {
            self.tries += 1;
            self.failures.insert(function, error.to_string());
            return Some(OffsetDateTime::now_utc() + *pause);
        }
        self.report.left.push(Left { function, what: error.to_string() });
        None
    }

    /// When a function that was worked on without an error is gone on with.
    pub(super) fn went_on(&mut self, function: Function, ahead: Ahead) -> Option<OffsetDateTime> {
        self.failures.remove(&function);
        match ahead {
            Ahead::Until(at) if !self.is_settled(function) => Some(at),
            _ => None,
        }
    }

    /// Whether the steward has to let a function back in. Each is helped once.
    pub(super) fn asks_for_help(&mut self, function: Function) -> bool {
        let stage = self.rotation(function).map(|one| one.stage);
        let is_locked_out = function != Function::Steward && stage == Some(Stage::LockedOut);
        is_locked_out && self.helped.insert(function)
    }

    /// What was done until the deadline; what was not is said.
    pub(super) fn given_up(mut self) -> Revocation {
        for function in std::mem::take(&mut self.functions) {
            let failure = match self.begun {
                true => self.failures.remove(&function),
                // What keeps the tenant as a whole back was noted of one function.
                false => self.failures.values().next().cloned(),
            };
            let what = match failure {
                Some(error) => error,
                // Where that stands is in the report.
                None if self.rotation(function).is_some_and(|one| one.stage != Stage::Settled) => {
                    continue;
                }
                None => "not done before the deadline; run this again".to_owned(),
            };
            self.report.left.push(Left { function, what });
        }
        self.report
    }
}

/// Whether the same may go well later.
pub(super) fn may_pass(error: &ServiceError) -> bool {
    match error {
        ServiceError::Exchange(error) => error.is_transient(),
        ServiceError::Identity(error) => error.is_transient(),
        error => error.kind() == ErrorKind::Busy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(functions: &[Function]) -> Unit {
        Unit::new(&"acme".parse().unwrap(), functions)
    }

    fn stands_at(unit: &mut Unit, function: Function, stage: Stage) {
        let tenant = unit.report.tenant.clone();
        let (key_id, done, waits_for) = (None, Vec::new(), None);
        unit.take_in(Rotation { tenant, function, stage, late: false, key_id, done, waits_for });
    }

    #[test]
    fn a_tenant_that_was_never_reached_is_not_done() {
        let mut unit = unit(&[Function::Reader, Function::Auditor]);
        let busy = ServiceError::Busy { tenant: unit.report.tenant.clone() };
        assert!(unit.failed(Function::Reader, &busy).is_some());
        let report = unit.given_up();
        let functions: Vec<Function> = report.left.iter().map(|left| left.function).collect();
        assert_eq!(functions, [Function::Reader, Function::Auditor]);
        assert!(report.left.iter().all(|left| left.what == busy.to_string()), "{report:?}");
        assert!(!report.is_complete());
    }

    #[test]
    fn every_function_that_is_locked_out_is_helped_and_each_once() {
        let functions = [Function::Reader, Function::Auditor, Function::Steward];
        let mut unit = unit(&functions);
        for function in functions {
            stands_at(&mut unit, function, Stage::LockedOut);
        }
        let asked = functions.map(|function| unit.asks_for_help(function));
        assert_eq!(asked, [true, true, false]);
        assert!(!unit.asks_for_help(Function::Reader));
    }
}
