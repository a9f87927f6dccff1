//! The keys of many tenants, changed by one order: some at a time, each as far as the provider lets it,
//! and again when there is more to do.
//!
//! The order is kept with the moment at which it was given. The same order again, after a crash or by
//! `serve`, goes on with that moment: a tenant whose keys are younger has been done.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};

use mailkeep_control::{StoredFleetOrder, Tenant};
use mailkeep_identity::rotation::Order;
use mailkeep_model::{Function, TenantName};
use mailkeep_sentry::Incident;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use tokio::task::JoinSet;

use super::{
    Revocation,
    course::{Ahead, Course, Manner},
    revoke::the_next_second,
    unit::{Unit, Work},
};
use crate::{Service, ServiceError};

/// Tenants that are worked on at the same time: as many as there are connections to the signer.
const AT_A_TIME: usize = 8;
/// An order that is older than this is not gone on with: whoever gives it again means it anew.
const GOES_ON_FOR: Duration = Duration::days(1);

/// A key's name is looked for in what incidents say: one that is shorter stands in most of them.
const SHORTEST_NAME: usize = 8;

/// What is to be done with the keys of many tenants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetOrder {
    /// What.
    pub change: FleetChange,
    /// Whose.
    pub whose: FleetWhose,
    /// Only the keys of these functions; empty: of all.
    pub functions: Vec<Function>,
}

/// A change of keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FleetChange {
    /// New keys.
    Rotate {
        /// Whether the old ones go as soon as the new ones were accepted.
        at_once: bool,
    },
    /// New keys at once, and away with what is not ours.
    Revoke {
        /// Why.
        reason: String,
        /// Whether the keys that lie ready are not to be used either.
        distrust: bool,
    },
}

/// Whose keys are changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FleetWhose {
    /// All tenants'.
    All,
    /// Those of the tenants and functions that a key reached: for which it was made, and in whose incidents
    /// it is named.
    ReachedBy {
        /// The signer's or the provider's name for it, or its thumbprint (hex).
        key: String,
    },
}

/// An order that was given.
#[derive(Clone, Debug)]
pub struct OrderedFleet {
    pub(super) id: i64,
    /// When it was given first.
    pub at: OffsetDateTime,
    /// Whether it goes on with what was begun before.
    pub goes_on: bool,
    order: FleetOrder,
    targets: Vec<Target>,
}

/// A tenant, and the functions whose keys are changed.
type Target = (TenantName, Vec<Function>);

/// What is kept of an order.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    order: FleetOrder,
}

impl OrderedFleet {
    /// How many tenants it is about.
    pub fn tenants(&self) -> usize {
        self.targets.len()
    }

    /// The tenants and functions that it is about.
    pub(super) fn places(&self) -> impl Iterator<Item = (TenantName, Function)> {
        let of = |(tenant, functions): &'_ Target| {
            functions.iter().map(|function| (tenant.clone(), *function)).collect::<Vec<_>>()
        };
        self.targets.iter().flat_map(of)
    }

    pub(super) fn is_about_keys_alone(&self) -> bool {
        matches!(self.order.change, FleetChange::Rotate { .. })
    }

    pub(super) fn rotation(&self) -> Order {
        let at = self.at;
        match self.order.change {
            FleetChange::Rotate { at_once } => Order { at, distrust: None, urgent: at_once },
            FleetChange::Revoke { distrust, .. } => {
                Order { at, distrust: distrust.then_some(at), urgent: true }
            }
        }
    }
}

impl FleetOrder {
    /// Whether the other one asks for the same. The reason is for people.
    fn is_same(&self, other: &Self) -> bool {
        let same = match (&self.change, &other.change) {
            (
                FleetChange::Revoke { distrust: one, .. },
                FleetChange::Revoke { distrust: two, .. },
            ) => one == two,
            (one, two) => one == two,
        };
        same && self.whose == other.whose && self.functions == other.functions
    }
}

impl Service {
    /// Gives an order, or, unless it is meant `anew`, goes on with the same one that was given in the last
    /// day and is not done everywhere.
    ///
    /// # Errors
    /// [`ServiceError::KeyName`]; when the state cannot be read or written.
    pub async fn order_fleet(
        &self,
        order: FleetOrder,
        anew: bool,
    ) -> Result<OrderedFleet, ServiceError> {
        if let FleetWhose::ReachedBy { key } = &order.whose
            && key.trim().len() < SHORTEST_NAME
        {
            return Err(ServiceError::KeyName { shortest: SHORTEST_NAME });
        }
        let now = OffsetDateTime::now_utc();
        for (stored, kept) in self.kept_orders().await? {
            if kept.order.is_same(&order) {
                if anew || stored.opened < now - GOES_ON_FOR {
                    self.control.close_fleet_order(stored.id, now).await?;
                    continue;
                }
                let targets = self.targets(&order).await?;
                let (id, at, goes_on) = (stored.id, kept.at, true);
                return Ok(OrderedFleet { id, at, goes_on, order, targets });
            }
        }
        let at = the_next_second().await;
        let kept = serde_json::to_value(Kept { at, order: order.clone() });
        let kept = kept.expect("texts and times serialise");
        let targets = self.targets(&order).await?;
        let id = self.control.open_fleet_order(at, kept).await?;
        Ok(OrderedFleet { id, at, goes_on: false, order, targets })
    }

    /// The orders that `serve` goes on with; those that are too old are closed.
    pub(super) async fn open_fleet_orders(&self) -> Result<Vec<OrderedFleet>, ServiceError> {
        let now = OffsetDateTime::now_utc();
        let mut open = Vec::new();
        for (stored, kept) in self.kept_orders().await? {
            let (id, at, order) = (stored.id, kept.at, kept.order);
            if stored.opened < now - GOES_ON_FOR {
                self.control.close_fleet_order(id, now).await?;
                continue;
            }
            let targets = self.targets(&order).await?;
            open.push(OrderedFleet { id, at, goes_on: true, order, targets });
        }
        Ok(open)
    }

    async fn kept_orders(&self) -> Result<Vec<(StoredFleetOrder, Kept)>, ServiceError> {
        let stored = self.control.fleet_orders().await?;
        let readable = stored.into_iter().filter_map(|stored| {
            let kept = serde_json::from_value(stored.wanted.clone());
            let kept = kept.inspect_err(|error| {
                tracing::error!(order = stored.id, %error, "an order to change keys cannot be read");
            });
            Some((stored, kept.ok()?))
        });
        Ok(readable.collect())
    }

    /// Whose keys an order is about. A tenant without an application has none.
    async fn targets(&self, order: &FleetOrder) -> Result<Vec<Target>, ServiceError> {
        let wanted = |function: &Function| {
            *function != Function::Restorer
                && (order.functions.is_empty() || order.functions.contains(function))
        };
        let reached = match &order.whose {
            FleetWhose::All => None,
            FleetWhose::ReachedBy { key } => Some(self.reached_by(key).await?),
        };
        let is_reached = |tenant: &TenantName, function: Function| {
            reached.as_ref().is_none_or(|reached| {
                reached.get(tenant).is_some_and(|reached| reached.contains(&function))
            })
        };
        let tenants = self.control.tenants().await?.into_iter().map(|tenant| {
            let functions = tenant.functions.iter().map(|one| one.function).filter(wanted);
            let functions = functions.filter(|function| is_reached(&tenant.name, *function));
            let functions = functions.collect::<Vec<_>>();
            (tenant.name, functions)
        });
        Ok(tenants.filter(|(_, functions)| !functions.is_empty()).collect())
    }

    /// The tenants that a key reached, with the functions.
    async fn reached_by(
        &self,
        key: &str,
    ) -> Result<BTreeMap<TenantName, BTreeSet<Function>>, ServiceError> {
        let key = key.trim();
        let mut reached = BTreeMap::<TenantName, BTreeSet<Function>>::new();
        let mut names = vec![key.to_ascii_lowercase()];
        for (tenant, known) in self.control.keys_called(key).await? {
            reached.entry(tenant).or_default().insert(known.function);
            let known_as = known.state["known_as"].as_array().into_iter().flatten();
            names.extend(known_as.filter_map(Value::as_str).map(str::to_ascii_lowercase));
        }
        for stored in self.control.incidents(None).await? {
            let Ok(incident) = serde_json::from_value::<Incident>(stored.incident) else {
                continue;
            };
            let functions = named_in(&incident, &names);
            if !functions.is_empty() {
                reached.entry(stored.tenant).or_default().extend(functions);
            }
        }
        Ok(reached)
    }

    /// Carries an order out until `deadline`, and hands out each tenant that is done, or that could not
    /// be. Tells whether all was done; what was not is done by the same order again, or by `serve`.
    ///
    /// Keys for the next time are not made here, which would take longer than all the rest: `serve` does.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub async fn change_fleet(
        self: &Arc<Self>,
        ordered: &OrderedFleet,
        deadline: OffsetDateTime,
        mut each: impl FnMut(Revocation),
    ) -> Result<bool, ServiceError> {
        let work = Arc::new(Work {
            order: ordered.rotation(),
            reason: match &ordered.order.change {
                FleetChange::Revoke { reason, .. } => Some(reason.clone()),
                FleetChange::Rotate { .. } => None,
            },
            manner: Manner {
                policy: self.key_policy,
                deadline,
                waits: false,
                spare: false,
                hold: Duration::ZERO,
            },
            tokens: self.last_tokens().await,
        });
        let units = ordered.targets.iter().map(|(tenant, functions)| Unit::new(tenant, functions));
        let mut units: Vec<Option<Unit>> = units.map(Some).collect();
        let begin = OffsetDateTime::now_utc();
        let mut due: BinaryHeap<Reverse<(OffsetDateTime, usize)>> =
            (0..units.len()).map(|unit| Reverse((begin, unit))).collect();
        let (mut running, mut all_done) = (JoinSet::new(), true);
        loop {
            let now = OffsetDateTime::now_utc();
            while running.len() < AT_A_TIME
                && let Some(Reverse((at, index))) = due.peek().copied()
                && at <= now
            {
                due.pop();
                let Some(mut unit) = units[index].take() else { continue };
                // Nothing is begun then any more: what is still to come is said of each.
                if now >= deadline {
                    all_done = false;
                    each(unit.given_up());
                    continue;
                }
                let (service, work) = (Arc::clone(self), Arc::clone(&work));
                running.spawn(async move {
                    let again = service.advance(&mut unit, &work).await;
                    service.close_journal(&unit.report.tenant);
                    (index, unit, again)
                });
            }
            let next = due.peek().map(|Reverse((at, _))| *at - now);
            let pause = next.unwrap_or(Duration::HOUR).max(Duration::milliseconds(1));
            let pause = std::time::Duration::try_from(pause).unwrap_or_default();
            let is_full = running.len() >= AT_A_TIME;
            let finished = tokio::select! {
                Some(finished) = running.join_next(), if !running.is_empty() => finished,
                () = tokio::time::sleep(pause), if next.is_some() && !is_full => continue,
                else => break,
            };
            let Ok((index, unit, again)) = finished else { return Err(ServiceError::Stopped) };
            match again {
                // There is no use in waiting for a time after the deadline.
                Some(again) if again >= deadline => {
                    all_done = false;
                    each(unit.given_up());
                }
                Some(again) => {
                    units[index] = Some(unit);
                    due.push(Reverse((again, index)));
                }
                None => {
                    all_done &= unit.report.is_complete();
                    each(unit.report);
                }
            }
        }
        if all_done {
            self.control.close_fleet_order(ordered.id, OffsetDateTime::now_utc()).await?;
        }
        Ok(all_done)
    }

    /// Does what can be done for one tenant now; when to come again.
    async fn advance(&self, unit: &mut Unit, work: &Work) -> Option<OffsetDateTime> {
        let name = unit.report.tenant.clone();
        let tenant = match self.tenant(&name).await {
            Ok(tenant) => tenant,
            Err(error) => return unit.failed(Function::Reader, &error),
        };
        if let (Some(reason), false) = (&work.reason, unit.begun) {
            match self.begin_revocation(&tenant, reason, &mut unit.report).await {
                Ok(mut functions) => {
                    functions.retain(|function| unit.functions.contains(function));
                    unit.functions = functions;
                }
                Err(error) => return unit.failed(Function::Reader, &error),
            }
        }
        unit.begun = true;
        let mut again = None::<OffsetDateTime>;
        for function in std::mem::take(&mut unit.functions) {
            // With the steward's key the others are helped back in: it is changed last.
            let waits = function == Function::Steward && again.is_some();
            let next = match waits {
                true => again,
                false => match self.step(unit, &tenant, function, work).await {
                    Ok(ahead) => unit.went_on(function, ahead),
                    Err(error) => unit.failed(function, &error),
                },
            };
            if let Some(next) = next {
                unit.functions.push(function);
                again = Some(again.map_or(next, |again| again.min(next)));
            }
            if work.reason.is_some()
                && unit.asks_for_help(function)
                && let Ok(true) = self.let_back_in(&tenant, function).await
            {
                unit.functions.push(function);
                again = Some(OffsetDateTime::now_utc());
            }
        }
        if again.is_none() && work.reason.is_some() {
            self.end_revocation(&tenant, &mut unit.report).await;
        }
        again
    }

    async fn step(
        &self,
        unit: &mut Unit,
        tenant: &Tenant,
        function: Function,
        work: &Work,
    ) -> Result<Ahead, ServiceError> {
        let tokens = Some(&work.tokens);
        let mut course = Course::begin_for(self, tenant.clone(), function, tokens).await?;
        if unit.rotation(function).is_none() {
            // Only where somebody is shut out is that not asked for.
            match course.stay_with_the_authority().await {
                _ if work.reason.is_some() => {}
                // That authority has certified a fresh key since.
                Err(ServiceError::OwnAuthority { .. }) if !course.has_to(&work.order) => {
                    unit.take_in(course.report());
                    return Ok(Ahead::Nothing);
                }
                stays => stays?,
            }
            course.order(work.order.clone()).await?;
        }
        let ahead = course.run(&work.manner).await;
        unit.take_in(course.report());
        ahead
    }
}

/// The functions that an incident is about, when one of the names stands in it (lower case).
fn named_in<'a>(incident: &'a Incident, names: &[String]) -> &'a [Function] {
    let texts = incident.evidence.iter().map(|evidence| evidence.text.as_str());
    let mut texts = texts.chain([incident.subject.as_str()]);
    let is_named = texts.any(|text| {
        let text = text.to_ascii_lowercase();
        names.iter().any(|name| text.contains(name.as_str()))
    });
    match is_named {
        false => &[],
        // Where nobody says which of them: all.
        true => incident.function.as_ref().map_or(&Function::ALL, std::slice::from_ref),
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_sentry::{Evidence, IncidentKind, Source};

    use super::*;

    #[test]
    fn an_incident_of_no_function_reaches_all_of_them_whatever_others_say() {
        let evidence = Evidence {
            at: OffsetDateTime::UNIX_EPOCH,
            source: Source::SignIns,
            record: String::new(),
            text: "a sign-in with Key-ABCDEFGH".to_owned(),
            address: None,
            uti: None,
        };
        let incident = |function| {
            Incident::of(IncidentKind::ForeignCredential, None, function, "?", evidence.clone())
        };
        let names = ["abcdefgh".to_owned()];
        assert_eq!(named_in(&incident(None), &names), Function::ALL);
        assert_eq!(named_in(&incident(Some(Function::Reader)), &names), [Function::Reader]);
        assert!(named_in(&incident(None), &["01234567".to_owned()]).is_empty());
    }
}
