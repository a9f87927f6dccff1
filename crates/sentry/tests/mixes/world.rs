//! What really happened, and what of it each side wrote down.

use std::{collections::HashMap, net::IpAddr};

use mailkeep_identity::{JobId, uti};
use mailkeep_model::{
    AccessedMessage, Breadth, CredentialKind, Function, MailAccess, ProviderCall, SignIn,
};
use mailkeep_sentry::{
    Call, CallAbout, OurApplication, OurKey, Outcome, Settle, TokenRequest, Use,
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How long the world lasts.
pub(crate) const LONG: Duration = Duration::hours(30);
/// Between two sign-ins of one of our functions. A log that loses records does so for longer: what is
/// shorter than this, nobody can see.
const BEACON: Duration = Duration::minutes(15);
/// No record takes longer, unless it never comes.
pub(crate) const SETTLE: Settle = Settle(2 * 3600);
pub(crate) const FUNCTIONS: [Function; 3] =
    [Function::Reader, Function::Auditor, Function::Responder];
pub(crate) const MAILBOXES: [&str; 3] =
    ["ada@acme.example", "bob@acme.example", "cyd@acme.example"];

/// A mailbox that no job of ours touches.
pub(crate) const UNTOUCHED: &str = "eve@acme.example";

/// A record, and when it is delivered.
#[derive(Clone, Debug)]
pub(crate) struct Logged<T> {
    pub(crate) record: T,
    /// `None`: never.
    pub(crate) delivered: Option<OffsetDateTime>,
    /// Whether somebody else did it.
    pub(crate) rogue: bool,
    /// Whether the mailbox had fallen silent.
    pub(crate) silenced: bool,
}

/// A log of the provider's and its weaknesses.
#[derive(Clone, Debug)]
pub(crate) struct Weakness {
    pub(crate) absent: bool,
    outages: Vec<(OffsetDateTime, OffsetDateTime)>,
    /// Leaves out what tells one token or credential from another.
    pub(crate) terse: bool,
}

pub(crate) struct World {
    pub(crate) seed: u64,
    rng: StdRng,
    pub(crate) begin: OffsetDateTime,
    skew: Duration,
    pub(crate) applications: Vec<OurApplication>,
    pub(crate) keys: Vec<OurKey>,
    pub(crate) uses: Vec<Use>,
    pub(crate) journal: Vec<Call>,
    /// The worker cannot read `uti`.
    opaque: bool,
    pub(crate) sign_ins: Vec<Logged<SignIn>>,
    pub(crate) accesses: Vec<Logged<MailAccess>>,
    pub(crate) calls: Vec<Logged<ProviderCall>>,
    pub(crate) sign_in_log: Weakness,
    pub(crate) mail_log: Weakness,
    pub(crate) call_log: Weakness,
}

/// A token as whoever has it uses it.
#[derive(Clone)]
struct Token {
    uti: String,
    client_id: String,
    address: IpAddr,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let begin = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let applications: Vec<OurApplication> = FUNCTIONS
            .iter()
            .map(|function| OurApplication {
                client_id: id(&mut rng).to_string(),
                function: *function,
            })
            .collect();
        let weakness = |rng: &mut StdRng, absent: f64| Weakness {
            absent: rng.random_bool(absent),
            outages: outages(rng, begin),
            terse: rng.random_bool(0.15),
        };
        let (sign_in_log, mail_log, call_log) =
            (weakness(&mut rng, 0.05), weakness(&mut rng, 0.3), weakness(&mut rng, 0.4));
        let skew = Duration::seconds(rng.random_range(-200..200));
        let opaque = rng.random_bool(0.2);
        let mut world = Self {
            seed,
            rng,
            begin,
            skew,
            applications,
            keys: Vec::new(),
            uses: Vec::new(),
            journal: Vec::new(),
            opaque,
            sign_ins: Vec::new(),
            accesses: Vec::new(),
            calls: Vec::new(),
            sign_in_log,
            mail_log,
            call_log,
        };
        world.live();
        world.steal();
        world.fall_silent();
        world
    }

    fn id(&mut self) -> Uuid {
        id(&mut self.rng)
    }

    fn chance(&mut self, of: f64) -> bool {
        self.rng.random_bool(of)
    }

    fn seconds(&mut self, from: i64, to: i64) -> Duration {
        Duration::seconds(self.rng.random_range(from..to))
    }

    /// Some time after the beginning.
    fn moment(&mut self) -> OffsetDateTime {
        self.begin + self.seconds(0, LONG.whole_seconds())
    }

    fn new_key(&mut self, function: Function) -> OurKey {
        let key_id = self.id().to_string();
        let known_as = vec![self.id().to_string(), format!("{:X}", self.id().as_u128())];
        let key = OurKey { key_id, function, known_as };
        self.keys.push(key.clone());
        key
    }

    /// Our own functions sign in again and again, rotate their keys, read mail and crash.
    fn live(&mut self) {
        for application in self.applications.clone() {
            let mut key = self.new_key(application.function);
            let mut now = self.begin + self.seconds(1, 600);
            while now < self.begin + LONG {
                if self.chance(0.02) {
                    key = self.new_key(application.function);
                }
                self.sign_in(&application, &key, now);
                now += self.seconds(BEACON.whole_seconds() / 3, BEACON.whole_seconds());
            }
        }
        self.uses.sort_by_key(|one| one.signed);
        self.journal.sort_by_key(|call| call.at);
    }

    fn sign_in(&mut self, application: &OurApplication, key: &OurKey, now: OffsetDateTime) {
        let job: JobId = self.id().into();
        let mut one = Use {
            jti: self.id().to_string(),
            key_id: key.key_id.clone(),
            function: application.function,
            client_id: application.client_id.clone(),
            signed: now,
            expires: now + Duration::minutes(5),
            job: Some(job.clone()),
            request: None,
        };
        // Killed between the signature and the receipt that says what it is for.
        if self.chance(0.02) {
            self.uses.push(one);
            return;
        }
        let name = self.id();
        let request_id = self.id();
        let intended = now + self.seconds(0, 3);
        let answered = intended + self.seconds(0, 5);
        let lost = self.chance(0.04);
        let arrived = !lost || self.chance(0.6);
        let refused = self.chance(0.03);
        let token = uti::from_request_id(request_id);
        let outcome = match (lost, refused) {
            (true, _) => Outcome::Lost,
            (_, true) => Outcome::Refused { at: answered },
            _ => Outcome::Received {
                at: answered,
                request_id: (!self.opaque || self.chance(0.5)).then_some(request_id),
                uti: (!self.opaque).then(|| token.clone()),
                expires: answered + Duration::minutes(70),
            },
        };
        one.request = Some(TokenRequest { client_request_id: name, intended, outcome });
        self.uses.push(one);
        if arrived {
            let record = SignIn {
                id: request_id.to_string(),
                at: intended + self.skew,
                client_id: application.client_id.clone(),
                credential: CredentialKind::Certificate,
                key_id: Some(key.known_as[0].to_uppercase()),
                thumbprint: Some(key.known_as[1].clone()),
                address: Some(our_address(&mut self.rng)),
                uti: (!refused).then(|| token.clone()),
                correlation_id: Some(name),
                resource: None,
                error: if refused { 700_027 } else { 0 },
            };
            self.log_sign_in(record, false);
        }
        if !lost && !refused && application.function == Function::Reader {
            let address = our_address(&mut self.rng);
            let token = Token { uti: token, client_id: application.client_id.clone(), address };
            self.read_mail(&token, &job, answered);
        }
    }

    /// A pass: pages of a list, and messages one by one; what is read within two minutes is one record.
    fn read_mail(&mut self, token: &Token, job: &JobId, from: OffsetDateTime) {
        for mailbox in MAILBOXES {
            if self.chance(0.3) {
                continue;
            }
            let begun = from + self.seconds(1, 200);
            let mut messages = Vec::new();
            let mut first = None;
            for _ in 0..self.rng.random_range(1..4) {
                let name = self.id();
                let item = self.id().to_string();
                let at = begun + self.seconds(0, 100);
                let (at, first_name) = *first.get_or_insert((at, name));
                let at = if name == first_name { at } else { at + self.seconds(0, 15) };
                self.journal.push(Call {
                    client_request_id: name,
                    at,
                    job: job.clone(),
                    mailbox: Some(mailbox.to_owned()),
                    about: CallAbout::Item(item.clone()),
                });
                self.log_call(token, Some(name), at, mailbox, &item, false);
                messages.push(item);
            }
            if let Some((at, name)) = first {
                self.log_access(token, Some(name), at, mailbox, messages, false);
            }
        }
    }

    /// Somebody else.
    fn steal(&mut self) {
        for _ in 0..self.rng.random_range(0..6) {
            match self.rng.random_range(0..6) {
                0 => self.use_stolen_key(),
                1 => self.use_foreign_credential(),
                2 => self.replay(),
                3 => self.use_stolen_token(),
                4 => self.use_foreign_token(),
                _ => self.fail(),
            }
        }
    }

    /// From elsewhere, or from our own host.
    fn his_address(&mut self) -> IpAddr {
        let number = self.rng.random_range(1..200);
        match self.chance(0.7) {
            true => format!("203.0.113.{number}").parse().expect("an address"),
            false => our_address(&mut self.rng),
        }
    }

    fn his_sign_in(&mut self, at: OffsetDateTime) -> SignIn {
        let application = self.applications.choose(&mut self.rng).expect("some").clone();
        let request_id = self.id();
        SignIn {
            id: request_id.to_string(),
            at,
            client_id: application.client_id,
            credential: CredentialKind::Certificate,
            key_id: None,
            thumbprint: None,
            address: Some(self.his_address()),
            uti: Some(uti::from_request_id(request_id)),
            correlation_id: Some(self.id()),
            resource: None,
            error: 0,
        }
    }

    fn use_stolen_key(&mut self) {
        let at = self.moment();
        let mut record = self.his_sign_in(at);
        let of = |key: &&OurKey| {
            self.applications
                .iter()
                .any(|one| one.function == key.function && one.client_id == record.client_id)
        };
        let key = self.keys.iter().find(of).expect("every application has a key");
        record.key_id = Some(key.known_as[0].clone());
        record.thumbprint = Some(key.known_as[1].clone());
        self.his_spree(record);
    }

    fn use_foreign_credential(&mut self) {
        let at = self.moment();
        let mut record = self.his_sign_in(at);
        let kinds =
            [CredentialKind::Certificate, CredentialKind::Secret, CredentialKind::Federated];
        record.credential = *kinds.choose(&mut self.rng).expect("some");
        record.key_id = Some(self.id().to_string());
        self.his_spree(record);
    }

    /// He read an assertion on its way: he knows what we called the request, too.
    fn replay(&mut self) {
        let sent = |one: &&Use| {
            let outcome = one.request.as_ref().map(|request| &request.outcome);
            matches!(outcome, Some(Outcome::Received { .. }))
        };
        let sent: Vec<Use> = self.uses.iter().filter(sent).cloned().collect();
        let Some(one) = sent.choose(&mut self.rng).cloned() else { return };
        let Some(request) = &one.request else { return };
        let at = request.intended + self.skew + self.seconds(6, 200);
        let mut record = self.his_sign_in(at);
        let key = self.keys.iter().find(|key| key.key_id == one.key_id).expect("its key").clone();
        record.client_id.clone_from(&one.client_id);
        record.key_id = Some(key.known_as[0].clone());
        record.thumbprint = Some(key.known_as[1].clone());
        // Where neither token nor address tells the two apart, nobody can.
        let told_apart = one.uti().is_some() || record.address.is_some_and(|at| !is_ours(at));
        if told_apart && !self.sign_in_log.terse && self.chance(0.7) {
            record.correlation_id = Some(request.client_request_id);
        }
        self.his_spree(record);
    }

    /// He got a token, and may read mail with it.
    fn his_spree(&mut self, record: SignIn) {
        let token = Token {
            uti: record.uti.clone().expect("he got a token"),
            client_id: record.client_id.clone(),
            address: record.address.expect("from somewhere"),
        };
        let at = record.at;
        self.log_sign_in(record, true);
        if self.chance(0.7) {
            let later = at + self.seconds(1, 3000);
            self.his_reading(&token, later);
        }
    }

    fn his_reading(&mut self, token: &Token, at: OffsetDateTime) {
        let mailbox = match self.chance(0.2) {
            true => UNTOUCHED,
            false => *MAILBOXES.choose(&mut self.rng).expect("some"),
        };
        let items: Vec<String> =
            (0..self.rng.random_range(1..5)).map(|_| self.id().to_string()).collect();
        let name = self.chance(0.8).then(|| self.id());
        for item in &items {
            let name = name.map(|_| self.id());
            // His times are the provider's already.
            self.log_call(token, name, at - self.skew, mailbox, item, true);
        }
        self.log_access(token, name, at - self.skew, mailbox, items, true);
    }

    /// A token of ours, lifted from a worker.
    fn use_stolen_token(&mut self) {
        let held = |one: &&Use| {
            let outcome = one.request.as_ref().map(|request| &request.outcome);
            matches!(outcome, Some(Outcome::Received { .. })) && one.function == Function::Reader
        };
        let held: Vec<Use> = self.uses.iter().filter(held).cloned().collect();
        let Some(one) = held.choose(&mut self.rng) else { return };
        let Some(request) = &one.request else { return };
        // What the worker may not be able to read, the provider knows.
        let of_request = |logged: &&Logged<SignIn>| {
            logged.record.correlation_id == Some(request.client_request_id) && !logged.rogue
        };
        let Some(uti) =
            self.sign_ins.iter().find(of_request).and_then(|logged| logged.record.uti.clone())
        else {
            return;
        };
        let token = Token { uti, client_id: one.client_id.clone(), address: self.his_address() };
        let at = request.intended + self.skew + self.seconds(60, 3600);
        self.his_reading(&token, at);
    }

    /// A token that no sign-in shows: from before the log was read, or of a kind that it does not have.
    fn use_foreign_token(&mut self) {
        let application = self.applications.choose(&mut self.rng).expect("some").clone();
        let token = Token {
            uti: uti::from_request_id(self.id()),
            client_id: application.client_id,
            address: self.his_address(),
        };
        let at = self.moment();
        self.his_reading(&token, at);
    }

    /// He tried.
    fn fail(&mut self) {
        let at = self.moment();
        let mut record = self.his_sign_in(at);
        record.uti = None;
        record.error = *[700_027, 700_016, 7_000_215].choose(&mut self.rng).expect("some");
        self.log_sign_in(record, true);
    }

    fn log_sign_in(&mut self, mut record: SignIn, rogue: bool) {
        if self.sign_in_log.terse {
            record.uti = None;
            record.key_id = None;
            record.thumbprint = None;
            record.credential = CredentialKind::Unknown;
        }
        let log = self.sign_in_log.clone();
        let delivered = self.delivery(&log, record.at);
        self.sign_ins.push(Logged { record, delivered, rogue, silenced: false });
    }

    fn log_access(
        &mut self,
        token: &Token,
        name: Option<Uuid>,
        at: OffsetDateTime,
        mailbox: &str,
        items: Vec<String>,
        rogue: bool,
    ) {
        let message = |item: String| AccessedMessage {
            message_id: Some(format!("<{item}@x>")),
            item: Some(item),
            folder: Some("\\Inbox".to_owned()),
        };
        let terse = self.mail_log.terse;
        let record = MailAccess {
            id: self.id().to_string(),
            at: at + self.skew,
            client_id: Some(token.client_id.clone()),
            uti: (!terse).then(|| token.uti.clone()),
            client_request_id: name,
            address: Some(token.address),
            mailbox: mailbox.to_owned(),
            mailbox_id: None,
            breadth: Breadth::Messages,
            messages: items.into_iter().map(message).collect(),
            throttled: self.chance(0.003),
        };
        let log = self.mail_log.clone();
        let delivered = self.delivery(&log, record.at).map(|at| at + MailAccess::AGGREGATED);
        self.accesses.push(Logged { record, delivered, rogue, silenced: false });
    }

    fn log_call(
        &mut self,
        token: &Token,
        name: Option<Uuid>,
        at: OffsetDateTime,
        mailbox: &str,
        item: &str,
        rogue: bool,
    ) {
        let record = ProviderCall {
            request_id: self.id().to_string(),
            at: at + self.skew,
            client_id: token.client_id.clone(),
            uti: Some(token.uti.clone()),
            client_request_id: name,
            address: Some(token.address),
            method: "GET".to_owned(),
            uri: format!("/v1.0/users/{mailbox}/messages/{item}/$value"),
            status: 200,
        };
        let log = self.call_log.clone();
        let delivered = self.delivery(&log, record.at);
        self.calls.push(Logged { record, delivered, rogue, silenced: false });
    }

    /// When a record of that time is there to be read.
    fn delivery(&mut self, log: &Weakness, at: OffsetDateTime) -> Option<OffsetDateTime> {
        let lost = log.absent || log.outages.iter().any(|(from, to)| *from <= at && at <= *to);
        // Two minutes are left for those that are gathered first.
        let delay = match self.rng.random_range(0..10) {
            0 => self.seconds(0, i64::from(SETTLE.0) - 400),
            _ => self.seconds(0, 900),
        };
        (!lost).then(|| at - self.skew + delay)
    }

    /// Whether the worker cannot read what a token is called.
    pub(crate) fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// Exchange writes nothing down for a day after it said that a mailbox had too much.
    fn fall_silent(&mut self) {
        self.accesses.sort_by_key(|one| one.record.at);
        let mut silent: HashMap<String, OffsetDateTime> = HashMap::new();
        for logged in &mut self.accesses {
            let Logged { record, delivered, silenced, .. } = logged;
            let until = silent.get(&record.mailbox).copied();
            if until.is_some_and(|until| record.at <= until) {
                *delivered = None;
                *silenced = true;
            } else if record.throttled && delivered.is_some() {
                silent.insert(record.mailbox.clone(), record.at + MailAccess::SILENCE);
            }
        }
    }
}

fn id(rng: &mut StdRng) -> Uuid {
    Uuid::from_u128(rng.random())
}

fn our_address(rng: &mut StdRng) -> IpAddr {
    format!("192.0.2.{}", rng.random_range(1..5)).parse().expect("an address")
}

fn is_ours(address: IpAddr) -> bool {
    address.to_string().starts_with("192.0.2.")
}

/// Times at which a log loses what happens; longer than the distance of our sign-ins.
fn outages(rng: &mut StdRng, begin: OffsetDateTime) -> Vec<(OffsetDateTime, OffsetDateTime)> {
    let count = rng.random_range(0..3);
    let mut outage = || {
        let from = begin + Duration::seconds(rng.random_range(0..LONG.whole_seconds()));
        let long = rng.random_range(BEACON.whole_seconds() * 2..4 * 3600);
        (from, from + Duration::seconds(long))
    };
    (0..count).map(|_| outage()).collect()
}
