//! A provider whose answers are the documentation's examples: the lab is told to give them.

use mailkeep_exchange::{Extras, GraphProvider, Provider};
use mailkeep_model::{Function, Mailbox};
use serde_json::{Value, json};

use crate::common::Site;

const RIGHTS: &[&str] = &[
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "Mail.ReadWrite",
    "MailboxFolder.Read.All",
    "MailboxItem.ImportExport.All",
    "MailboxItem.Read.All",
    "MailboxSettings.ReadWrite",
    "Tasks.ReadWrite.All",
    "User.Read.All",
];

pub(crate) struct World {
    site: Site,
    pub(crate) provider: GraphProvider,
    pub(crate) mailbox: Mailbox,
}

impl World {
    pub(crate) async fn new() -> Self {
        // What is sent here is about examples' items: no measure of what we send.
        let site = Site::with(|options| options.journal = None).await;
        let function = Function::Restorer;
        site.register(function, RIGHTS).await;
        let extras = Extras { tasks: true, streams: true, ..Extras::default() };
        let provider = site.connect(function, extras);
        let mailbox = provider.mailboxes().await.unwrap().remove(0);
        Self { site, provider, mailbox }
    }

    /// From now on the answer to each of these operations is this JSON.
    pub(crate) async fn tells(&self, answers: &[(&str, Value)]) {
        let rules: Vec<Value> = answers
            .iter()
            .map(|(operation, answer)| match *operation {
                "" => json!({ "answer": answer }),
                _ => json!({ "operation": operation, "answer": answer }),
            })
            .collect();
        self.site.order("faults", json!(rules)).await;
    }

    /// Requests for an operation, so far.
    pub(crate) async fn requests(&self, operation: &str) -> u64 {
        let counters = self.site.look("counters").await;
        counters["operations"][operation]["requests"].as_u64().unwrap_or(0)
    }

    /// An address of another server, at the lab: nothing leaves this machine.
    pub(crate) fn at_home(&self, address: &str) -> String {
        let path = address.split_once("://").unwrap().1.split_once('/').unwrap().1;
        format!("{}/{path}", self.site.lab.description().authority)
    }
}

/// The elements of an answer as a list that ends with it.
pub(crate) fn list(elements: &Value) -> Value {
    json!({ "value": elements })
}
