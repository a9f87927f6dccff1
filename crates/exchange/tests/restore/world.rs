//! A lab, a signer, and a tenant of the one whose restorer key is in the other.

use mailkeep_exchange::{
    Existing, Extras, GraphProvider, Looked, Mark, NewItem, Origin, Provider, Wanted,
};
use mailkeep_model::{
    Attachment, Contact, Detail, Event, Folder, FolderId, FolderKind, FollowUp, Function,
    Importance, Item, ItemId, ItemKind, Mailbox,
};
use serde_json::{Value, json};
use sha2::Digest as _;
use time::macros::datetime;

use crate::common::Site;

pub(crate) const RIGHTS: &[&str] =
    &["Mail.ReadWrite", "Calendars.ReadWrite", "Contacts.ReadWrite", "User.Read.All"];
/// What adding to a message that is no draft takes.
pub(crate) const ADVANCED: &str = "Mail-Advanced.ReadWrite.All";

pub(crate) struct World {
    site: Site,
    pub(crate) provider: GraphProvider,
    pub(crate) mailbox: Mailbox,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_rights(RIGHTS).await
    }

    pub(crate) async fn with_rights(rights: &[&str]) -> Self {
        let site = Site::start().await;
        let function = Function::Restorer;
        site.register(function, rights).await;
        let extras = Extras { tasks: true, streams: true, archive: true, recoverable_items: false };
        let provider = site.connect(function, extras);
        let mailbox = provider.mailboxes().await.unwrap().remove(0);
        Self { site, provider, mailbox }
    }

    /// Asks the lab's administration for something.
    pub(crate) async fn order(&self, what: &str, body: Value) -> Value {
        self.site.order(what, body).await
    }

    /// What of one kind is in the mailbox, as the lab has it, with this subject or name.
    pub(crate) async fn kept(&self, kind: &str, name: &str) -> Vec<Value> {
        let mut all = self.all(kind).await;
        all.retain(|one| one["subject"] == name || one["displayName"] == name);
        all
    }

    /// All of one kind that is in the mailbox.
    pub(crate) async fn all(&self, kind: &str) -> Vec<Value> {
        let whole = self.site.look(&format!("mailbox/{}", self.mailbox.address)).await;
        whole[kind].as_array().unwrap().clone()
    }

    pub(crate) async fn invitations(&self) -> u64 {
        self.site.look("counters").await["invitations_sent"].as_u64().unwrap()
    }

    /// Read receipts that went out because of us.
    pub(crate) async fn receipts(&self) -> u64 {
        self.site.look("counters").await["receipts_sent"].as_u64().unwrap()
    }

    pub(crate) async fn fails(&self, faults: Value) {
        self.order("faults", faults).await;
    }

    pub(crate) async fn folder(&self, kind: FolderKind, name: &str) -> Folder {
        self.provider.create_folder(&self.mailbox, kind, None, name).await.unwrap()
    }

    pub(crate) async fn create(
        &self,
        folder: &Folder,
        item: &Item,
        content: &[u8],
        attachments: &[Attachment],
    ) -> Result<mailkeep_exchange::Created, mailkeep_exchange::ExchangeError> {
        self.create_instead(folder, item, content, attachments, &[]).await
    }

    /// The same in the place of others.
    pub(crate) async fn create_instead(
        &self,
        folder: &Folder,
        item: &Item,
        content: &[u8],
        attachments: &[Attachment],
        replaces: &[ItemId],
    ) -> Result<mailkeep_exchange::Created, mailkeep_exchange::ExchangeError> {
        let origin = Origin { mark: mark(&item.id.0, &item.content_key), snapshot: "s1".into() };
        let content = content.to_vec().into();
        let new = NewItem {
            item,
            content: &content,
            stream: None,
            attachments,
            origin: &origin,
            looked: Looked::NotYet,
            replaces,
        };
        self.provider.create(&self.mailbox, folder, &new).await
    }

    pub(crate) async fn existing(&self, kind: ItemKind, wanted: &[Wanted]) -> Vec<Existing> {
        self.provider.existing(&self.mailbox, kind, wanted).await.unwrap()
    }
}

/// A mark that is the same for the same name and state.
pub(crate) fn mark(name: &str, state: &str) -> Mark {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    Mark { item: format!("{:0>32}", hex(name)), state: Some(format!("{:0>16}", hex(state))) }
}

/// What an item of this name carries, as the provider keeps it.
pub(crate) fn marked(name: &str) -> String {
    let Mark { item, state } = mark(name, "k");
    format!("{item}.{}", state.unwrap())
}

pub(crate) fn wanted(name: &str) -> Wanted {
    by_mark(ItemId(name.into()), name)
}

pub(crate) fn by_mark(item: ItemId, name: &str) -> Wanted {
    Wanted { item, mark: mark(name, "").item, former: format!("former-{name}"), likeness: None }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes))
}

pub(crate) fn message(subject: &str) -> Item {
    item(ItemKind::Message, subject, None)
}

pub(crate) fn event(event: Event) -> Item {
    let subject = event.subject.clone();
    item(ItemKind::Event, &subject, Some(Detail::Event(Box::new(event))))
}

pub(crate) fn contact(contact: Contact) -> Item {
    let name = contact.display_name.clone();
    item(ItemKind::Contact, &name, Some(Detail::Contact(Box::new(contact))))
}

fn item(kind: ItemKind, subject: &str, detail: Option<Detail>) -> Item {
    Item {
        subject: subject.into(),
        from: Some("ann@far.example".into()),
        received: datetime!(2026-02-03 04:05:06 UTC),
        sent: Some(datetime!(2026-02-03 04:05:00 UTC)),
        read: true,
        follow_up: FollowUp::Flagged,
        importance: Importance::High,
        categories: vec!["Red".into()],
        content_key: "k".into(),
        detail,
        provider: json!({"flag": {"flagStatus": "flagged"}}).as_object().unwrap().clone(),
        ..Item::new(ItemId(subject.into()), kind, FolderId("gone".into()))
    }
}

pub(crate) fn mime(subject: &str, attachment: usize) -> Vec<u8> {
    let mut text = format!(
        "From: Ann Far <ann@far.example>\r\nTo: Bob <bob@near.example>\r\nSubject: {subject}\r\n\
         Message-ID: <{}@far.example>\r\nDate: Tue, 03 Feb 2026 04:05:00 +0000\r\n\
         Received: from a by b; Tue, 03 Feb 2026 04:05:06 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n\
         <p>Hello</p>\r\n",
        subject.replace(' ', "-")
    );
    if attachment > 0 {
        text.push_str("--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n");
        text.push_str(&"x".repeat(attachment));
        text.push_str("\r\n");
    }
    text.push_str("--b--\r\n");
    text.into_bytes()
}
