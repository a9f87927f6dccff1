use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use mailkeep_control::{
    Acknowledgement, Attempt, QueuedDelivery, StoredLoadProblem, Telling, incident_subject,
};
use time::OffsetDateTime;
use tokio::{task::JoinHandle, time::Instant};
use uuid::Uuid;

use super::{
    Alert, AlertMessage, Destination, Target, Told, due,
    policy::decision_subject,
    send::{Fault, Unsent, send},
};
use crate::{Service, ServiceError, protect::EPISODE};

/// How long one delivery may take. What is slower is as good as not there: others wait behind it.
const SEND_TIME: Duration = Duration::from_secs(20);
/// How long nobody else delivers to a destination when whoever does has died. Longer than the signer's
/// answer and one delivery take, so that none is made by two at a time.
const CLAIM: time::Duration = time::Duration::seconds(60);
/// How long to wait after the first failure; then twice as long each time, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// Somebody who repairs a destination sees it work within a quarter of an hour.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// A destination that asks to be left alone for longer is asked again nevertheless.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);
/// Attempts after which what a destination does not take is given up.
const ATTEMPTS: u64 = 3;
/// Deliveries that wait for a destination. What does not fit is told as it stands when there is room.
const LONGEST_QUEUE: usize = 500;
/// Things that are said of one alert at once: there are no more.
const MOST_AT_ONCE: usize = 4;
/// How often `serve` looks.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What a round of deliveries to one destination came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The destination.
    pub destination: String,
    /// Deliveries that arrived.
    pub arrived: usize,
    /// Why the last one did not.
    pub failed: Option<String>,
}

impl Service {
    /// Tells every destination what is due, for at most that long; what does not arrive waits for the
    /// next time. Destinations that there was nothing to do for are left out.
    ///
    /// # Errors
    /// What `control` refuses. A destination that does not take its alerts is no error.
    pub async fn deliver_alerts(
        &self,
        now: OffsetDateTime,
        within: Duration,
    ) -> Result<Vec<Delivered>, ServiceError> {
        let destinations = self.alert_destinations().await?;
        if destinations.is_empty() {
            return Ok(Vec::new());
        }
        let open = self.alerts_now().await?;
        let clock = Clock { began: now, at: Instant::now(), within: Some(within) };
        let rounds = destinations.iter().map(|one| self.tell(one, &open, clock));
        let mut all = Vec::new();
        for told in join_all(rounds).await {
            all.extend(told?);
        }
        Ok(all)
    }

    /// Tells every destination what is due as soon as it is; never ends. A destination that hangs
    /// holds no other up.
    pub async fn tend_alerts(self: &Arc<Self>) {
        let mut running: HashMap<i64, JoinHandle<()>> = HashMap::new();
        loop {
            if let Err(error) = self.start_rounds(&mut running).await {
                tracing::error!(%error, "alerts cannot be looked after");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn start_rounds(
        self: &Arc<Self>,
        running: &mut HashMap<i64, JoinHandle<()>>,
    ) -> Result<(), ServiceError> {
        running.retain(|_, round| !round.is_finished());
        let destinations = self.alert_destinations().await?;
        if destinations.is_empty() {
            return Ok(());
        }
        let open: Arc<[Alert]> = self.alerts_now().await?.into();
        for destination in destinations {
            let id = destination.stored.id;
            if running.contains_key(&id) {
                continue;
            }
            let (service, open) = (Arc::clone(self), Arc::clone(&open));
            let round = tokio::spawn(async move {
                let began = OffsetDateTime::now_utc();
                let clock = Clock { began, at: Instant::now(), within: None };
                if let Err(error) = service.tell(&destination, &open, clock).await {
                    let destination = destination.stored.name;
                    tracing::error!(destination, %error, "alerts cannot be delivered");
                }
            });
            running.insert(id, round);
        }
        Ok(())
    }

    /// Everything that is open and that people may want to be told about. Whatever else than incidents
    /// there is to be told is added here.
    async fn alerts_now(&self) -> Result<Vec<Alert>, ServiceError> {
        let incidents = self.control.open_incidents().await?;
        let mut all: Vec<Alert> = incidents.iter().map(Alert::of_incident).collect();
        let now = OffsetDateTime::now_utc();
        let decisions = self.control.told_decisions(now - EPISODE).await?;
        let mut hindrances = HashMap::new();
        for episode in decisions.chunk_by(|one, other| one.episode == other.episode) {
            let tenant = &episode[0].tenant;
            if !hindrances.contains_key(tenant) {
                hindrances.insert(tenant.clone(), self.hindrance(tenant).await?);
            }
            all.extend(Alert::of_decisions(episode, hindrances[tenant].as_deref(), now));
        }
        let problems = self.control.load_problems().await?;
        let problems = problems.iter().filter(|one| one.solved.is_none());
        all.extend(problems.map(Alert::of_load_problem));
        Ok(all)
    }

    /// What a destination was told about and is not open any more.
    async fn closed_alert(&self, subject: &str) -> Result<Option<Alert>, ServiceError> {
        let number = subject.rsplit('/').next().and_then(|id| id.parse().ok()).unwrap_or_default();
        if subject == decision_subject(number) {
            let decisions = self.control.episode(number).await?;
            let Some(first) = decisions.first() else { return Ok(None) };
            let hindrance = self.hindrance(&first.tenant).await?;
            let now = OffsetDateTime::now_utc();
            let alert = Alert::of_decisions(&decisions, hindrance.as_deref(), now);
            return Ok(alert.map(|alert| Alert { closed: true, ..alert }));
        }
        if subject.starts_with("file/") {
            let all = self.control.load_problems().await?;
            let same = |one: &&StoredLoadProblem| Alert::of_load_problem(one).subject == subject;
            return Ok(all.iter().find(same).map(Alert::of_load_problem));
        }
        if subject != incident_subject(number) {
            return Ok(None);
        }
        let incident = self.control.incident(number).await?;
        Ok(incident.as_ref().map(Alert::of_incident))
    }

    /// One round of deliveries to a destination; `None` when there is nothing to do, or somebody else
    /// does it.
    async fn tell(
        &self,
        destination: &Destination,
        open: &[Alert],
        clock: Clock,
    ) -> Result<Option<Delivered>, ServiceError> {
        let Destination { stored, .. } = destination;
        let is_resting = stored.retry_at.is_some_and(|at| at > clock.now());
        let has_news = !self.tellings(destination, open, clock.now()).await?.is_empty();
        if !has_news && (stored.waiting == 0 || is_resting) {
            return Ok(None);
        }
        let claimant = Uuid::new_v4().to_string();
        if !self.claim(stored.id, &claimant, clock).await? {
            return Ok(None);
        }
        let told = self.tell_as(destination, open, &claimant, clock).await;
        self.control.release_alert_destination(stored.id, &claimant).await?;
        told.map(Some)
    }

    async fn tell_as(
        &self,
        destination: &Destination,
        open: &[Alert],
        claimant: &str,
        clock: Clock,
    ) -> Result<Delivered, ServiceError> {
        let Destination { stored, .. } = destination;
        // Somebody else may have told it since: only the claimant knows for sure what is due.
        let tellings = self.tellings(destination, open, clock.now()).await?;
        self.control.queue_alerts(stored.id, claimant, tellings, clock.now()).await?;
        let mut told = Delivered { destination: stored.name.clone(), ..Delivered::default() };
        let (mut failures, mut resting) = self.standing(stored.id).await?;
        let mut target: Option<Target> = None;
        while resting.is_none_or(|at| at <= clock.now()) {
            let Some(next) = self.control.next_alert(stored.id).await? else { break };
            let Some(within) = clock.left() else { break };
            if !self.claim(stored.id, claimant, clock).await? {
                break;
            }
            let sent = self.send_next(&stored.name, &mut target, &next, within).await;
            let attempt = match sent {
                Ok(()) => Attempt::Arrived,
                Err(unsent) => {
                    told.failed = Some(unsent.what.clone());
                    if failures == 0 {
                        let (destination, error) = (&stored.name, &unsent.what);
                        tracing::warn!(destination, error, "an alert did not arrive");
                    }
                    failed(unsent, &next, failures, clock.now())
                }
            };
            match &attempt {
                Attempt::Arrived => {
                    told.arrived += 1;
                    failures = 0;
                    resting = None;
                }
                Attempt::Failed { retry_at, .. } => resting = Some(*retry_at),
                Attempt::GivenUp { .. } => failures = 0,
            }
            self.control.note_alert_attempt(stored.id, next.id, attempt, clock.now()).await?;
        }
        Ok(told)
    }

    async fn claim(&self, id: i64, claimant: &str, clock: Clock) -> Result<bool, ServiceError> {
        let now = clock.now();
        Ok(self.control.claim_alert_destination(id, claimant, now, now + CLAIM).await?)
    }

    /// How often in a row nothing arrived at a destination, and until when it rests.
    async fn standing(&self, id: i64) -> Result<(u64, Option<OffsetDateTime>), ServiceError> {
        let all = self.control.alert_destinations().await?;
        let one = all.into_iter().find(|one| one.id == id);
        Ok(one.map_or((0, None), |one| (one.failures, one.retry_at)))
    }

    async fn send_next(
        &self,
        name: &str,
        target: &mut Option<Target>,
        next: &QueuedDelivery,
        within: Duration,
    ) -> Result<(), Unsent> {
        let message: AlertMessage = serde_json::from_value(next.message.clone())
            .map_err(|error| Unsent::message(format!("it cannot be understood: {error}")))?;
        if target.is_none() {
            let name = name.parse().map_err(Unsent::destination)?;
            let found = tokio::time::timeout(within, self.alert_target(&name)).await;
            let found = found.map_err(|_| Unsent::destination("the signer does not answer"))?;
            *target = Some(found.map_err(|error| Unsent::destination(error.to_string()))?);
        }
        match target {
            Some(target) => send(target, &message, &next.delivery, within).await,
            None => Err(Unsent::destination("it has no target")),
        }
    }

    /// What a destination is to be told now, as far as there is room.
    async fn tellings(
        &self,
        destination: &Destination,
        open: &[Alert],
        now: OffsetDateTime,
    ) -> Result<Vec<Telling>, ServiceError> {
        let Destination { stored, rule } = destination;
        let waiting = self.control.alerts_waiting(stored.id).await?;
        let room = LONGEST_QUEUE.saturating_sub(waiting.len());
        let waiting: HashSet<String> = waiting.into_iter().collect();
        let mut told: HashMap<String, Told> = HashMap::new();
        for (subject, known) in self.control.alerts_told(stored.id).await? {
            if let Ok(known) = serde_json::from_value(known) {
                told.insert(subject, known);
            }
        }
        let acknowledgements = self.control.acknowledgements().await?;
        let closed = told.keys().filter(|subject| open.iter().all(|one| one.subject != **subject));
        let mut alerts: Vec<Alert> = Vec::new();
        for subject in closed {
            alerts.extend(self.closed_alert(subject).await?);
        }
        alerts.extend_from_slice(open);
        let mut tellings = Vec::new();
        for alert in &alerts {
            let acknowledgement: Option<&Acknowledgement> = acknowledgements.get(&alert.subject);
            let mut is_waiting = waiting.contains(&alert.subject);
            let mut known = told.remove(&alert.subject);
            // One thing after another, as long as there is any: each look says another one.
            for _ in 0..MOST_AT_ONCE {
                let due = due(rule, alert, acknowledgement, known.as_ref(), is_waiting, now);
                let Some(due) = due.filter(|_| tellings.len() < room) else { break };
                tellings.push(Telling {
                    subject: alert.subject.clone(),
                    delivery: Uuid::new_v4().to_string(),
                    message: json_of(&AlertMessage::of(alert, due.event, due.news.as_deref(), now)),
                    told: due.told.as_ref().map(json_of),
                });
                is_waiting = true;
                known = due.told;
            }
        }
        Ok(tellings)
    }
}

/// The time as the caller told it, going on; and until when.
#[derive(Clone, Copy)]
struct Clock {
    began: OffsetDateTime,
    at: Instant,
    within: Option<Duration>,
}

impl Clock {
    fn now(self) -> OffsetDateTime {
        self.began + self.at.elapsed()
    }

    /// How long the next delivery may take; `None`: there is no time for another one.
    fn left(self) -> Option<Duration> {
        let Some(within) = self.within else { return Some(SEND_TIME) };
        let left = within.checked_sub(self.at.elapsed()).filter(|left| !left.is_zero())?;
        Some(left.min(SEND_TIME))
    }
}

fn failed(unsent: Unsent, next: &QueuedDelivery, failures: u64, now: OffsetDateTime) -> Attempt {
    let Unsent { what: error, fault, retry_after } = unsent;
    if fault == Fault::Message && next.attempts + 1 >= ATTEMPTS {
        return Attempt::GivenUp { error };
    }
    let doublings = u32::try_from(failures).unwrap_or(u32::MAX).min(16);
    let wait = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
    let wait = retry_after.map_or(wait, |asked| asked.clamp(FIRST_WAIT, LONGEST_RETRY_AFTER));
    Attempt::Failed { error, retry_at: now + wait }
}

fn json_of<T: serde::Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).expect("texts, times and numbers serialise")
}
