use std::{
    collections::{BTreeMap, HashMap, HashSet},
    future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use futures::{StreamExt, stream};
use mailkeep_exchange::{
    Endpoint, ExchangeError, GraphProvider, Subscription, SubscriptionId, Topic,
};
use mailkeep_identity::SecretName;
use mailkeep_model::{Mailbox, MailboxId, Secret, TenantName};
use time::{Duration, OffsetDateTime};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::desk::{Desk, Place, Standing};
use crate::{Service, ServiceError};

/// How long a subscription is asked to live; the provider's longest is seven days. A service that
/// is away for a day finds its subscriptions as it left them.
const LIFE: Duration = Duration::days(3);
/// It is renewed when this much of its life is left at the latest, …
const RENEWED_BEFORE: Duration = Duration::days(1);
/// … and up to this much earlier, each at a moment of its own: those that were made together are
/// not all renewed together.
const SPREAD: Duration = Duration::hours(12);
/// One that ends sooner is made anew instead of taken over.
const TOO_SHORT: Duration = Duration::minutes(10);
/// Subscriptions of one tenant. Mailboxes beyond that are read at the interval only.
const MOST: usize = 30_000;
/// What one call does at most, so that no tenant has to wait long for its turn.
const MOST_AT_ONCE: usize = 600;
/// Requests of this kind in flight: while one is made, the provider asks the endpoint back.
const IN_FLIGHT: usize = 8;
/// A tenant where nothing can be subscribed to is left alone for this long.
const REST: Duration = Duration::minutes(10);
/// A mailbox that cannot be subscribed to: a missing right, no mailbox.
const REST_OF_A_PLACE: Duration = Duration::hours(6);

/// A mailbox that was answered for in a way of its own: it may be the provider's passing trouble.
const REST_AFTER_AN_ODD_ANSWER: Duration = Duration::HOUR;
/// So many odd answers and nothing that worked are no matter of single mailboxes any more: most
/// likely the provider does not reach the endpoint, which it says of each mailbox anew.
const ODD_IN_A_ROW: usize = 2 * IN_FLIGHT;

/// What looking after a tenant's subscriptions came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tended {
    /// Made anew.
    pub made: usize,
    /// Made in an earlier life of this service, and taken over.
    pub adopted: usize,
    /// Renewed, or authorised anew.
    pub renewed: usize,
    /// Found to be gone; made anew in the next call.
    pub lost: usize,
    /// Ended, because the mailbox is not backed up any more.
    pub ended: usize,
    /// Could not be made or renewed; tried again later.
    pub failed: usize,
    /// Left for the next call.
    pub left: usize,
}

/// Looks after subscriptions.
pub(super) struct Tending {
    url: Url,
    /// One tenant's are looked after by one at a time.
    tenants: Mutex<BTreeMap<TenantName, Arc<Mutex<Tenant>>>>,
}

/// What is remembered of a tenant between two calls.
#[derive(Default)]
struct Tenant {
    /// Makes the secrets of its subscriptions; from the signer.
    key: Option<hmac::Key>,
    /// Whether what an earlier life of this service left was taken over.
    adopted: bool,
    rests_until: Option<OffsetDateTime>,
    resting: HashMap<Place, OffsetDateTime>,
}

/// What is to be done.
enum Task {
    Make(Place, Mailbox),
    Renew(Place, Subscription, Standing),
    End(SubscriptionId),
}

/// What became of it.
enum Done {
    Made(Place, Subscription, Secret),
    Renewed(SubscriptionId, OffsetDateTime),
    /// It is not there any more.
    Lost(Place, SubscriptionId),
    Ended(SubscriptionId),
    Failed(Place, ExchangeError),
    /// Nobody knows whether one that is not wanted any more has ended; it does by itself.
    NotEnded(SubscriptionId, ExchangeError),
}

impl Tending {
    pub(super) fn new(url: Url) -> Self {
        Self { url, tenants: Mutex::default() }
    }

    pub(super) async fn tend(
        &self,
        service: &Service,
        desk: &Desk,
        name: &TenantName,
        now: OffsetDateTime,
    ) -> Result<Tended, ServiceError> {
        let tenant = Arc::clone(self.tenants.lock().await.entry(name.clone()).or_default());
        let mut tenant = tenant.lock().await;
        if tenant.rests_until.is_some_and(|until| until > now) {
            return Ok(Tended::default());
        }
        let tended = self.tend_rested(service, desk, name, &mut tenant, now).await;
        tenant.rests_until = tended.as_ref().err().map(|_| now + REST);
        tended
    }

    async fn tend_rested(
        &self,
        service: &Service,
        desk: &Desk,
        name: &TenantName,
        tenant: &mut Tenant,
        now: OffsetDateTime,
    ) -> Result<Tended, ServiceError> {
        let wanted = wanted(service, name).await?;
        let mut tended = Tended::default();
        let mut connection = None;
        if !tenant.adopted {
            // One that cannot be taken over is among those that are ended.
            let link = connect(service, name, &mut connection).await?;
            let key = key(service, name, tenant).await?;
            tended.adopted = self.adopt(desk, &link, &key, name, &wanted, now).await?;
            tenant.adopted = true;
        }
        tenant.resting.retain(|_, until| *until > now);
        // What could not be renewed in time is made anew.
        for (_, ended, _) in desk.of(name).into_iter().filter(|(_, one, _)| one.expires <= now) {
            desk.forget(&ended.id);
        }
        let mut tasks = tasks(name, desk.of(name), &wanted, &tenant.resting, now);
        tended.left = tasks.len().saturating_sub(MOST_AT_ONCE);
        tasks.truncate(MOST_AT_ONCE);
        if tasks.is_empty() {
            return Ok(tended);
        }
        let link = connect(service, name, &mut connection).await?;
        let key = key(service, name, tenant).await?;
        // After a failure nothing new is begun, and what is under way is still waited for: of a
        // subscription that was made and not noted nobody would believe a word.
        let has_failed = AtomicBool::new(false);
        let mut failure = None;
        let mut odd = 0;
        let mut all = stream::iter(tasks)
            .take_while(|_| future::ready(!has_failed.load(Ordering::Relaxed)))
            .map(|task| self.perform(task, &link, &key, now))
            .buffer_unordered(IN_FLIGHT);
        while let Some(done) = all.next().await {
            if matches!(done, Done::Made(..) | Done::Renewed(..)) {
                odd = 0;
            }
            match done {
                Done::Made(place, subscription, state) => {
                    tended.made += 1;
                    desk.watch(place, subscription, state);
                }
                Done::Renewed(id, expires) => {
                    tended.renewed += 1;
                    desk.renewed(&id, expires);
                }
                Done::Lost(place, id) => {
                    tended.lost += 1;
                    desk.forget(&id);
                    // It is made anew at once. What was not told meanwhile is found by looking.
                    desk.hint(name, &place.mailbox, Instant::now());
                    desk.ask();
                }
                Done::Ended(id) => {
                    tended.ended += 1;
                    desk.forget(&id);
                }
                Done::NotEnded(id, error) => {
                    tracing::info!(tenant = %name, %error, "a subscription was not ended");
                    desk.forget(&id);
                }
                Done::Failed(place, error) => {
                    let Some(rest) = rest_of_a_place(&error) else {
                        failure = Some(error);
                        has_failed.store(true, Ordering::Relaxed);
                        continue;
                    };
                    tended.failed += 1;
                    tracing::info!(tenant = %name, %error, "one mailbox is not subscribed to");
                    tenant.resting.insert(place, now + rest);
                    if rest == REST_AFTER_AN_ODD_ANSWER {
                        // It may have been made all the same.
                        tenant.adopted = false;
                        odd += 1;
                    }
                    if odd >= ODD_IN_A_ROW {
                        failure = Some(error);
                        has_failed.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        if let Some(error) = failure {
            // Nobody knows what came of those that had no answer.
            tenant.adopted = false;
            return Err(error.into());
        }
        if tended.left > 0 {
            desk.ask();
        }
        Ok(tended)
    }

    async fn perform(
        &self,
        task: Task,
        link: &GraphProvider,
        key: &hmac::Key,
        now: OffsetDateTime,
    ) -> Done {
        match task {
            Task::Make(place, mailbox) => {
                let client_state = client_state(key, &place.mailbox, place.topic);
                let endpoint = Endpoint { url: &self.url, client_state: &client_state };
                match link.subscribe(&mailbox, place.topic, &endpoint, now + LIFE).await {
                    Ok(subscription) => Done::Made(place, subscription, client_state),
                    Err(error) => Done::Failed(place, error),
                }
            }
            Task::Renew(place, subscription, standing) => {
                let renewed = async {
                    if standing == Standing::Doubted {
                        link.reauthorize(&subscription).await?;
                    }
                    link.renew(&subscription, now + LIFE).await
                };
                match renewed.await {
                    Ok(expires) => Done::Renewed(subscription.id, expires),
                    Err(ExchangeError::NotFound { .. }) => Done::Lost(place, subscription.id),
                    Err(error) => Done::Failed(place, error),
                }
            }
            Task::End(id) => match link.unsubscribe(&id).await {
                Ok(()) => Done::Ended(id),
                Err(error) => Done::NotEnded(id, error),
            },
        }
    }

    /// Takes over what an earlier life of this service left at the provider, and ends what it left
    /// there twice or for nobody. Only what comes to our own address is ours.
    async fn adopt(
        &self,
        desk: &Desk,
        link: &GraphProvider,
        key: &hmac::Key,
        tenant: &TenantName,
        wanted: &BTreeMap<MailboxId, Mailbox>,
        now: OffsetDateTime,
    ) -> Result<usize, ServiceError> {
        let mut ours = link.subscriptions().await?;
        ours.retain(|one| one.url == self.url.as_str());
        // Of two for the same, the one that lives longer.
        ours.sort_by_key(|one| std::cmp::Reverse(one.expires));
        let (mut taken, mut known) = (HashSet::new(), HashSet::new());
        for (place, one, _) in desk.of(tenant) {
            taken.insert(place);
            known.insert(one.id);
        }
        let mut adopted = 0;
        for one in ours.into_iter().filter(|one| !known.contains(&one.id)) {
            let place =
                Place { tenant: tenant.clone(), mailbox: one.mailbox.clone(), topic: one.topic };
            let is_good = one.expires - now > TOO_SHORT && wanted.contains_key(&one.mailbox);
            if is_good && taken.insert(place.clone()) {
                let state = client_state(key, &one.mailbox, one.topic);
                desk.watch(place, one, state);
                adopted += 1;
                continue;
            }
            match link.unsubscribe(&one.id).await {
                Err(error) if error.concerns_one_item() => {
                    tracing::info!(%tenant, %error, "a subscription was not ended");
                }
                ended => ended?,
            }
        }
        Ok(adopted)
    }
}

/// Mailboxes that are backed up, and were there in a pass: an address may have none.
async fn wanted(
    service: &Service,
    tenant: &TenantName,
) -> Result<BTreeMap<MailboxId, Mailbox>, ServiceError> {
    let known = service.control().mailboxes(tenant).await?;
    let there = known.into_iter().filter(|one| one.gone_since.is_none() && one.last_pass.is_some());
    let there = there.take(MOST / Topic::ALL.len());
    Ok(there.map(|one| (one.mailbox.id.clone(), one.mailbox)).collect())
}

/// What is to be done: first what keeps those that are there, then new ones.
fn tasks(
    tenant: &TenantName,
    watched: Vec<(Place, Subscription, Standing)>,
    wanted: &BTreeMap<MailboxId, Mailbox>,
    resting: &HashMap<Place, OffsetDateTime>,
    now: OffsetDateTime,
) -> Vec<Task> {
    let mut tasks = Vec::new();
    let mut there = HashSet::new();
    for (place, subscription, standing) in watched {
        if !wanted.contains_key(&place.mailbox) {
            tasks.push(Task::End(subscription.id));
            continue;
        }
        there.insert(place.clone());
        let is_due = standing == Standing::Doubted || now >= renewal(&subscription);
        if is_due && !resting.contains_key(&place) {
            tasks.push(Task::Renew(place, subscription, standing));
        }
    }
    for mailbox in wanted.values() {
        for topic in Topic::ALL {
            let place = Place { tenant: tenant.clone(), mailbox: mailbox.id.clone(), topic };
            if !there.contains(&place) && !resting.contains_key(&place) {
                tasks.push(Task::Make(place, mailbox.clone()));
            }
        }
    }
    tasks
}

/// When a subscription is to be renewed: the same moment whenever it is asked for.
fn renewal(subscription: &Subscription) -> OffsetDateTime {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, subscription.id.0.as_bytes());
    let byte = hash.as_ref().first().copied().unwrap_or_default();
    subscription.expires - RENEWED_BEFORE - SPREAD * f64::from(byte) / 256.0
}

/// For how long one mailbox, or one topic of it, is left alone; `None`: the error concerns all of
/// the tenant's.
fn rest_of_a_place(error: &ExchangeError) -> Option<Duration> {
    match error {
        ExchangeError::Forbidden { .. } | ExchangeError::NotFound { .. } => Some(REST_OF_A_PLACE),
        error => error.concerns_one_item().then_some(REST_AFTER_AN_ODD_ANSWER),
    }
}

/// The tenant's mailboxes, connected to when something is to be done there.
async fn connect(
    service: &Service,
    name: &TenantName,
    connection: &mut Option<GraphProvider>,
) -> Result<GraphProvider, ServiceError> {
    if let Some(link) = connection {
        return Ok(link.clone());
    }
    let tenant = service.tenant(name).await?;
    let link = service.provider(&tenant, &service.new_job()).await?;
    Ok(connection.insert(link).clone())
}

/// What the secrets of a tenant's subscriptions are made from.
async fn key(
    service: &Service,
    name: &TenantName,
    tenant: &mut Tenant,
) -> Result<hmac::Key, ServiceError> {
    if let Some(key) = &tenant.key {
        return Ok(key.clone());
    }
    let secret: SecretName = "notifications".parse().expect("a valid name of a secret");
    let (signer, job) = (service.signer().await?, service.new_job());
    signer.create_secret(&job, name, &secret).await?;
    let secret = signer.release_secret(&job, name, &secret).await?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    Ok(tenant.key.insert(key).clone())
}

/// The secret of the subscription to one topic of one mailbox. It is made from one that the signer
/// keeps, so that a service that starts anew knows those of the subscriptions that are there.
fn client_state(key: &hmac::Key, mailbox: &MailboxId, topic: Topic) -> Secret {
    let message = format!("{topic:?}\n{}", mailbox.0);
    Secret::new(BASE64URL_NOPAD.encode(hmac::sign(key, message.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(mailbox: &str, topic: Topic) -> Place {
        Place { tenant: tenant(), mailbox: MailboxId(mailbox.into()), topic }
    }

    fn tenant() -> TenantName {
        "acme".parse().unwrap()
    }

    fn subscription(id: &str, mailbox: &str, topic: Topic, left: Duration) -> Subscription {
        Subscription {
            id: SubscriptionId(id.into()),
            mailbox: MailboxId(mailbox.into()),
            topic,
            expires: now() + left,
            url: "https://here.example/".into(),
        }
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
    }

    fn ann() -> BTreeMap<MailboxId, Mailbox> {
        let mailbox = Mailbox {
            id: MailboxId("ann".into()),
            address: "ann@a.example".parse().unwrap(),
            display_name: "Ann".into(),
        };
        BTreeMap::from([(mailbox.id.clone(), mailbox)])
    }

    #[test]
    fn subscriptions_are_renewed_long_before_they_end_and_not_all_at_once() {
        let mut moments = HashSet::new();
        for number in 0..200 {
            let one = subscription(&number.to_string(), "ann", Topic::Events, LIFE);
            let left = one.expires - renewal(&one);
            assert!(left >= RENEWED_BEFORE && left <= RENEWED_BEFORE + SPREAD, "{left}");
            assert!(left < LIFE, "a new one is renewed at once");
            moments.insert(renewal(&one));
        }
        assert!(moments.len() > 50, "{} moments", moments.len());
    }

    #[test]
    fn what_is_there_is_kept_before_anything_new_is_made() {
        let watched = vec![
            (
                place("ann", Topic::Messages),
                subscription("a", "ann", Topic::Messages, Duration::HOUR),
                Standing::Good,
            ),
            (
                place("ann", Topic::Events),
                subscription("b", "ann", Topic::Events, LIFE),
                Standing::Doubted,
            ),
            (
                place("left", Topic::Events),
                subscription("c", "left", Topic::Events, LIFE),
                Standing::Good,
            ),
        ];
        let tasks = tasks(&tenant(), watched, &ann(), &HashMap::new(), now());
        let words: Vec<String> = tasks
            .iter()
            .map(|task| match task {
                Task::Make(place, _) => format!("make {:?}", place.topic),
                Task::Renew(_, one, standing) => format!("renew {} {standing:?}", one.id.0),
                Task::End(id) => format!("end {}", id.0),
            })
            .collect();
        assert_eq!(words, ["renew a Good", "renew b Doubted", "end c", "make Contacts"]);
    }

    #[test]
    fn a_mailbox_that_cannot_be_subscribed_to_is_not_asked_for_again_and_again() {
        let resting = Topic::ALL.map(|topic| (place("ann", topic), now() + REST_OF_A_PLACE));
        let tasks = tasks(&tenant(), Vec::new(), &ann(), &HashMap::from(resting), now());
        assert!(tasks.is_empty());
    }

    #[test]
    fn no_two_subscriptions_have_the_same_secret() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"from the signer");
        let ids = ["ann", "bob"].map(|id| MailboxId(id.into()));
        let states =
            ids.iter().flat_map(|id| Topic::ALL.map(|topic| client_state(&key, id, topic)));
        let states: HashSet<String> = states.map(|state| state.expose().to_owned()).collect();
        assert_eq!(states.len(), 6);
        assert!(states.iter().all(|state| (40..=128).contains(&state.len())));
    }
}
