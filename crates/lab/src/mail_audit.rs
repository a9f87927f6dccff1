//! `MailItemsAccessed`: which messages were read, by whom, as Exchange's audit log tells it
//! (<https://learn.microsoft.com/purview/audit-log-investigate-accounts>).
//!
//! A read of one message is a *bind*. Binds of the same context within two minutes are one record;
//! the same message is not told again for an hour, unless the context is another. A mailbox that has
//! had a thousand records in 24 hours says so with the next one and is silent for 24 hours.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock;
use crate::entra::Grant;
use crate::ids;
use crate::state::Mailbox;

/// Binds that are one record, in seconds.
pub(crate) const AGGREGATED: i64 = 120;
/// For how long a message is not told again.
const REPEATED: i64 = 3600;
const DAY: i64 = 86_400;
/// Records of a tenant that are kept.
const KEPT: usize = 100_000;
/// Microsoft Graph, as Exchange writes it.
const API: &str = "00000003-0000-0000-c000-000000000000";

/// Who reads: with which token, from where.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) grant: Arc<Grant>,
    pub(crate) address: IpAddr,
    pub(crate) user_agent: Box<str>,
    pub(crate) client_request_id: Option<Box<str>>,
}

impl Reader {
    /// Equal for binds that may be one record.
    fn context(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.grant.uti, self.address, &self.user_agent).hash(&mut hasher);
        hasher.finish()
    }
}

/// A message that was read.
#[derive(Clone, Debug)]
pub(crate) struct Bind {
    pub(crate) item: u64,
    pub(crate) folder: u64,
    /// Path of the folder, as `\Inbox\Projects`.
    pub(crate) path: Arc<str>,
    pub(crate) message_id: Box<str>,
    pub(crate) size: u64,
}

#[derive(Debug)]
struct Record {
    id: Uuid,
    /// When its first bind was.
    at: i64,
    context: u64,
    reader: Reader,
    mailbox: Uuid,
    address: Arc<str>,
    binds: Vec<Bind>,
    throttled: bool,
}

/// The accesses to the mail of one tenant.
#[derive(Debug, Default)]
pub(crate) struct MailAudit {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    records: VecDeque<Record>,
    /// Records that were dropped from the front.
    dropped: usize,
    mailboxes: HashMap<Uuid, Watched>,
}

/// What is remembered of one mailbox.
#[derive(Debug, Default)]
struct Watched {
    /// When messages were told last, by context, folder and item.
    told: HashMap<(u64, u64, u64), i64>,
    /// The last record of each context: its number since the beginning.
    open: HashMap<u64, usize>,
    /// When the records of the last 24 hours were begun.
    begun: VecDeque<i64>,
    silent_until: Option<i64>,
    /// So many are remembered before those that no longer matter are forgotten.
    prune_at: usize,
}

impl MailAudit {
    /// Writes down that messages were read.
    pub(crate) fn record(
        &self,
        mailbox: &Mailbox,
        reader: &Reader,
        binds: Vec<Bind>,
        most_records: u32,
        now: i64,
    ) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { records, dropped, mailboxes } = &mut *inner;
        let watched = mailboxes.entry(mailbox.id).or_default();
        if watched.silent_until.is_some_and(|until| now < until) {
            return;
        }
        let context = reader.context();
        let mut binds = watched.unheard(context, binds, now);
        if binds.is_empty() {
            return;
        }
        let open = watched.open.get(&context).and_then(|number| number.checked_sub(*dropped));
        if let Some(record) = open.and_then(|index| records.get_mut(index))
            && now < record.at + AGGREGATED
        {
            record.binds.append(&mut binds);
            return;
        }
        while watched.begun.front().is_some_and(|at| *at <= now - DAY) {
            watched.begun.pop_front();
        }
        let throttled = watched.begun.len() >= most_records as usize;
        if throttled {
            watched.silent_until = Some(now + DAY);
            watched.begun.clear();
        } else {
            watched.begun.push_back(now);
        }
        if records.len() >= KEPT {
            records.pop_front();
            *dropped += 1;
        }
        watched.open.retain(|_, number| *number >= *dropped);
        watched.open.insert(context, *dropped + records.len());
        records.push_back(Record {
            id: Uuid::new_v4(),
            at: now,
            context,
            reader: reader.clone(),
            mailbox: mailbox.id,
            address: Arc::clone(&mailbox.address),
            binds,
            throttled,
        });
    }

    /// The records that could be read at a time, oldest first, with when they were begun: a record
    /// is complete after two minutes and shows up `delay` seconds later.
    pub(crate) fn available(&self, now: i64, delay: i64) -> Vec<(i64, Value)> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let complete = inner.records.iter().filter(|r| r.at + AGGREGATED + delay <= now);
        complete.map(|record| (record.at, record.to_json())).collect()
    }
}

impl Watched {
    /// Those that were not told within the last hour.
    fn unheard(&mut self, context: u64, mut binds: Vec<Bind>, now: i64) -> Vec<Bind> {
        if self.told.len() >= self.prune_at {
            self.told.retain(|_, at| now < *at + REPEATED);
            // Twice as many as are left: what is remembered is not gone through with every read.
            self.prune_at = (2 * self.told.len()).max(1000);
        }
        binds.retain(|bind| {
            let key = (context, bind.folder, bind.item);
            let heard = self.told.get(&key).is_some_and(|at| now < *at + REPEATED);
            if !heard {
                self.told.insert(key, now);
            }
            !heard
        });
        binds
    }
}

impl Record {
    /// As the Management Activity API has it.
    fn to_json(&self) -> Value {
        let grant = &self.reader.grant;
        let at = clock::iso(self.at);
        let address = self.reader.address.to_string();
        let mut folders: Vec<(u64, &str, Vec<Value>)> = Vec::new();
        for bind in &self.binds {
            let item = json!({
                "Id": ids::immutable_id(self.mailbox, bind.item),
                "ImmutableId": ids::immutable_id(self.mailbox, bind.item),
                "InternetMessageId": bind.message_id,
                "SizeInBytes": bind.size,
            });
            match folders.iter_mut().find(|(folder, ..)| *folder == bind.folder) {
                Some((_, _, items)) => items.push(item),
                None => folders.push((bind.folder, &*bind.path, vec![item])),
            }
        }
        let folder = |(number, path, items): &(u64, &str, Vec<Value>)| {
            json!({
                "Id": ids::folder_id(self.mailbox, *number),
                "Path": path,
                "FolderItems": items,
            })
        };
        json!({
            "Id": self.id,
            "CreationTime": at.trim_end_matches('Z'),
            "Operation": "MailItemsAccessed",
            "RecordType": 50,
            "ResultStatus": "Succeeded",
            "Workload": "Exchange",
            "Version": 1,
            "OrganizationId": grant.tenant.id,
            "OrganizationName": grant.tenant.domain,
            // An application.
            "UserType": 5,
            "UserKey": grant.client_id,
            "UserId": format!("ServicePrincipal_{}", grant.service_principal_id),
            "AppId": grant.client_id,
            "ClientAppId": grant.client_id,
            "ClientIP": address,
            "ClientIPAddress": address,
            "ClientInfoString": "Client=REST;Client=RESTSystem;;",
            "ActorInfoString": format!(
                "Client=REST;Client=RESTSystem;UserAgent={}[AppId={}]",
                match &*self.reader.user_agent { "" => "[NoUserAgent]", agent => agent },
                grant.client_id
            ),
            "ClientRequestId": self.reader.client_request_id,
            "ExternalAccess": false,
            "InternalLogonType": 0,
            // Of an application that acts for itself: an administrator's.
            "LogonType": 1,
            "MailboxGuid": self.mailbox,
            "MailboxOwnerUPN": self.address,
            "SessionId": format!("{:016x}", self.context),
            "AppAccessContext": {
                "APIId": API,
                "ClientAppId": grant.client_id,
                "IssuedAtTime": clock::iso(grant.issued).trim_end_matches('Z'),
                "UniqueTokenId": grant.uti,
            },
            "OperationProperties": [
                { "Name": "MailAccessType", "Value": "Bind" },
                { "Name": "IsThrottled", "Value": if self.throttled { "True" } else { "False" } },
            ],
            "OperationCount": self.binds.len(),
            "Folders": folders.iter().map(folder).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::seed::builtin::Person;
    use crate::state::{Source, Tenant};

    struct Scene {
        audit: MailAudit,
        mailbox: Mailbox,
        reader: Reader,
    }

    impl Scene {
        fn new() -> Self {
            let tenant = Tenant::new(Uuid::from_u128(1), "b.example".into(), "B".into());
            let person = Person { index: 0, domain: "b.example".into(), of: 1 };
            let source = Source::BuiltIn(person);
            let mailbox = Mailbox::new(Uuid::from_u128(2), "a@b.example", "A".into(), source, 1);
            let grant = Arc::new(Grant {
                tenant: Arc::new(tenant),
                client_id: Uuid::from_u128(3),
                service_principal_id: Uuid::from_u128(4),
                roles: BTreeSet::new(),
                uti: "one".into(),
                continuous: false,
                by_secret: false,
                resource: crate::entra::Resource::Graph,
                issued: 0,
                expires: i64::MAX,
            });
            let reader = Reader {
                grant,
                address: "127.0.0.1".parse().unwrap(),
                user_agent: "x".into(),
                client_request_id: None,
            };
            Self { audit: MailAudit::default(), mailbox, reader }
        }

        fn read(&self, reader: &Reader, item: u64, now: i64) {
            let bind = Bind {
                item,
                folder: 1,
                path: "\\Inbox".into(),
                message_id: format!("<{item}@x>").into(),
                size: 1,
            };
            self.audit.record(&self.mailbox, reader, vec![bind], 3, now);
        }

        fn counts(&self, now: i64) -> Vec<u64> {
            let records = self.audit.available(now, 0);
            records.iter().map(|(_, r)| r["OperationCount"].as_u64().unwrap()).collect()
        }
    }

    #[test]
    fn binds_of_two_minutes_are_one_record_and_a_message_is_told_once_an_hour() {
        let scene = Scene::new();
        for (item, now) in [(1, 0), (2, 60), (1, 119), (3, 120), (1, 3599), (1, 3600)] {
            scene.read(&scene.reader, item, now);
        }
        assert_eq!(scene.counts(119), [0; 0], "a record is not there before it is complete");
        assert_eq!(scene.counts(120), [2]);
        assert_eq!(scene.counts(DAY), [2, 1, 1]);
        // Another address is another context.
        let elsewhere = Reader { address: "127.0.0.2".parse().unwrap(), ..scene.reader.clone() };
        let other = Scene::new();
        other.read(&other.reader, 1, 0);
        other.read(&elsewhere, 1, 1);
        assert_eq!(other.counts(DAY), [1, 1]);
    }

    #[test]
    fn a_mailbox_with_too_many_records_says_so_and_falls_silent_for_a_day() {
        let scene = Scene::new();
        for number in 0..6 {
            scene.read(&scene.reader, number, i64::try_from(number).unwrap() * 200);
        }
        let records = scene.audit.available(DAY, 0);
        let throttled: Vec<&Value> =
            records.iter().map(|(_, r)| &r["OperationProperties"][1]["Value"]).collect();
        assert_eq!(throttled, ["False", "False", "False", "True"]);
        scene.read(&scene.reader, 9, 600 + DAY - 1);
        assert_eq!(scene.counts(3 * DAY).len(), 4);
        scene.read(&scene.reader, 9, 600 + DAY);
        assert_eq!(scene.counts(3 * DAY).len(), 5);
    }
}
