//! A lab, a signer, and a tenant of the one whose restorer key is in the other.

use mailkeep_exchange::{
    Access, Existing, Extras, GraphConfig, GraphProvider, Looked, Mark, NewItem, Origin, Provider,
    Wanted,
};
use mailkeep_identity::{JobId, ReceiptLog, SignerClient};
use mailkeep_lab::{Lab, LabOptions, Registration};
use mailkeep_model::{
    Attachment, Contact, Detail, Event, Folder, FolderId, FolderKind, FollowUp, Function,
    Importance, Item, ItemId, ItemKind, Mailbox, TenantName,
};
use mailkeep_signer::{Sealing, Signer, SignerOptions};
use serde_json::{Value, json};
use sha2::Digest as _;
use tempfile::TempDir;
use time::macros::datetime;

pub(crate) const RIGHTS: &[&str] =
    &["Mail.ReadWrite", "Calendars.ReadWrite", "Contacts.ReadWrite", "User.Read.All"];
/// What adding to a message that is no draft takes.
pub(crate) const ADVANCED: &str = "Mail-Advanced.ReadWrite";

pub(crate) struct World {
    lab: Lab,
    admin: reqwest::Client,
    pub(crate) provider: GraphProvider,
    pub(crate) mailbox: Mailbox,
    _directory: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_rights(RIGHTS).await
    }

    pub(crate) async fn with_rights(rights: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lab = Lab::start(LabOptions::new(directory.path().join("lab"))).await.unwrap();
        let signer_directory = directory.path().join("signer");
        let socket = signer_directory.join("signer.sock");
        let sealing = Sealing::IdentityFile(directory.path().join("key.txt"));
        let options = SignerOptions::new(signer_directory, socket.clone(), sealing);
        let signer = tokio::task::spawn_blocking(|| Signer::open(options)).await.unwrap().unwrap();
        tokio::spawn(signer.serve(std::future::pending()));
        let signer = SignerClient::connect(&socket, "test".parse().unwrap()).await.unwrap();

        let tenant: TenantName = "acme".parse().unwrap();
        let job: JobId = "job".parse().unwrap();
        let function = Function::Restorer;
        let certificate = signer.create_key(&job, &tenant, function).await.unwrap();
        let description = lab.description();
        let registration = Registration {
            name: "restorer".into(),
            certificate: certificate.certificate_pem,
            roles: rights.iter().map(|right| (*right).to_owned()).collect(),
        };
        let directory_id = description.tenants[0].id.to_string();
        let registered = lab.register(&directory_id, registration).unwrap();
        let endpoint = format!("{}/{directory_id}/oauth2/v2.0/token", description.authority);
        let client_id = registered.client_id.to_string();
        signer.bind(&job, &tenant, function, &client_id, &endpoint).await.unwrap();
        let receipts = ReceiptLog::open(directory.path().join("receipts.jsonl")).unwrap();
        let ca = std::fs::read_to_string(&description.ca).unwrap();
        let trusted = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
        let admin = reqwest::Client::builder().tls_certs_only([trusted]).build().unwrap();
        let graph = description.graph.parse().unwrap();
        let extras = Extras { tasks: true, streams: true, archive: true, recoverable_items: false };
        let config = GraphConfig { tenant, function, graph, ca_pem: Some(ca), extras };
        let provider = GraphProvider::new(config, Access { signer, receipts, job }).unwrap();
        let mailbox = provider.mailboxes().await.unwrap().remove(0);
        Self { lab, admin, provider, mailbox, _directory: directory }
    }

    /// Asks the lab's administration for something.
    pub(crate) async fn order(&self, what: &str, body: Value) -> Value {
        let url = format!("{}/{what}", self.lab.description().admin);
        self.send(self.admin.post(url).json(&body)).await
    }

    async fn look(&self, what: &str) -> Value {
        self.send(self.admin.get(format!("{}/{what}", self.lab.description().admin))).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Value {
        let token = std::fs::read_to_string(&self.lab.description().admin_token_file).unwrap();
        let answer = request.bearer_auth(token.trim()).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// What of one kind is in the mailbox, as the lab has it, with this subject or name.
    pub(crate) async fn kept(&self, kind: &str, name: &str) -> Vec<Value> {
        let mut all = self.all(kind).await;
        all.retain(|one| one["subject"] == name || one["displayName"] == name);
        all
    }

    /// All of one kind that is in the mailbox.
    pub(crate) async fn all(&self, kind: &str) -> Vec<Value> {
        let whole = self.look(&format!("mailbox/{}", self.mailbox.address)).await;
        whole[kind].as_array().unwrap().clone()
    }

    pub(crate) async fn invitations(&self) -> u64 {
        self.look("counters").await["invitations_sent"].as_u64().unwrap()
    }

    /// Read receipts that went out because of us.
    pub(crate) async fn receipts(&self) -> u64 {
        self.look("counters").await["receipts_sent"].as_u64().unwrap()
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
        id: ItemId(subject.into()),
        kind,
        folder: FolderId("gone".into()),
        subject: subject.into(),
        from: Some("ann@far.example".into()),
        recipients: Vec::new(),
        received: datetime!(2026-02-03 04:05:06 UTC),
        sent: Some(datetime!(2026-02-03 04:05:00 UTC)),
        internet_message_id: None,
        read: true,
        draft: false,
        follow_up: FollowUp::Flagged,
        importance: Importance::High,
        categories: vec!["Red".into()],
        content_key: "k".into(),
        detail,
        provider: json!({"flag": {"flagStatus": "flagged"}}).as_object().unwrap().clone(),
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
