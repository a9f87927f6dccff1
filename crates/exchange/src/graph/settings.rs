//! Settings of a mailbox: `mailboxSettings`, inbox rules and categories, kept as Graph's JSON.
//!
//! None of them is an item for Graph, and there is no delta: each group is a folder of ours that is
//! listed whole.
//!
//! Sources: the Graph pages `Get user mailbox settings`, `List messageRules`, `List
//! masterCategories`.

use data_encoding::BASE64URL_NOPAD;
use mailkeep_model::{
    Change, Detail, Folder, FolderId, FolderKind, Item, ItemId, ItemKind, Mailbox, Next, Page,
    Setting, SettingKind,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{
    client::{Ask, GraphProvider},
    events::drop_answer,
    pages::all_pages,
    zones,
};
use crate::{Details, ExchangeError, Held};

/// The right that reading settings needs.
pub(super) const SETTINGS_READ: &str = "MailboxSettings.Read";

/// A group of settings.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) kind: SettingKind,
    /// The folder that stands for it.
    folder: &'static str,
    name: &'static str,
    /// What the identifiers of what is in it begin with.
    prefix: &'static str,
    /// Below the user.
    path: &'static [&'static str],
}

pub(super) const GROUPS: [Group; 3] = [
    Group {
        kind: SettingKind::Mailbox,
        folder: "settings:mailbox",
        name: "Mailbox settings",
        prefix: "setting:mailbox",
        path: &["mailboxSettings"],
    },
    Group {
        kind: SettingKind::InboxRule,
        folder: "settings:rules",
        name: "Inbox rules",
        prefix: "setting:rule:",
        path: &["mailFolders", "inbox", "messageRules"],
    },
    Group {
        kind: SettingKind::Category,
        folder: "settings:categories",
        name: "Categories",
        prefix: "setting:category:",
        path: &["outlook", "masterCategories"],
    },
];

/// One folder for each group.
pub(super) fn folders() -> Vec<Folder> {
    GROUPS.iter().map(Group::as_folder).collect()
}

/// All of a group.
pub(super) async fn changes(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    folder: &FolderId,
) -> Result<Page<Item, ItemId>, ExchangeError> {
    let group = GROUPS.iter().find(|group| group.folder == folder.0);
    let group = group.ok_or_else(|| {
        ExchangeError::not_found(format!("{}: reading settings", mailbox.address))
    })?;
    let mut page = Page { changes: Vec::new(), unread: Vec::new(), next: Next::Complete };
    for told in group.read(graph, mailbox).await? {
        group.add(told, &mut page);
    }
    Ok(page)
}

/// One setting, as it is now.
pub(super) async fn find(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<Option<Item>, ExchangeError> {
    let Some(group) = Group::of(id) else { return Ok(None) };
    // The list of a group is one request, as one of its members would be.
    let page = changes(graph, mailbox, &FolderId(group.folder.to_owned())).await?;
    Ok(page.changes.into_iter().find_map(|change| match change {
        Change::Upsert(item) if item.id == *id => Some(item),
        _ => None,
    }))
}

/// A setting is told whole when it is listed.
pub(super) async fn details(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    item: &Item,
) -> Result<Details, ExchangeError> {
    let item = match &item.detail {
        Some(_) => item.clone(),
        None => find(graph, mailbox, &item.id).await?.ok_or_else(|| {
            ExchangeError::not_found(format!("{}: reading a setting", mailbox.address))
        })?,
    };
    Ok(Details { item, attachments: Vec::new(), room: Held::default() })
}

/// Reads a list of inbox rules or of categories, or the settings of a mailbox.
///
/// # Errors
/// [`ExchangeError::Protocol`] when the bytes are not such an answer.
pub fn parse_settings(body: &[u8], kind: SettingKind) -> Result<Page<Item, ItemId>, ExchangeError> {
    let action = "reading settings";
    let broken = |reason: String| ExchangeError::protocol(action, reason);
    let mut told: Value =
        serde_json::from_slice(body).map_err(|error| broken(format!("not understood: {error}")))?;
    let group = GROUPS.iter().find(|group| group.kind == kind);
    let group = group.ok_or_else(|| broken("no group of settings that is known".into()))?;
    let all = match group.kind {
        SettingKind::Mailbox => vec![told],
        _ => match told.get_mut("value").map(Value::take) {
            Some(Value::Array(all)) => all,
            _ => return Err(broken("it is no list".into())),
        },
    };
    let mut page = Page { changes: Vec::new(), unread: Vec::new(), next: Next::Complete };
    all.into_iter().for_each(|told| group.add(told, &mut page));
    Ok(page)
}

impl Group {
    /// The group of an identifier.
    pub(super) fn of(id: &ItemId) -> Option<&'static Self> {
        GROUPS.iter().find(|group| match group.kind {
            SettingKind::Mailbox => id.0 == group.prefix,
            _ => id.0.starts_with(group.prefix),
        })
    }

    /// Graph's identifier in one of ours.
    pub(super) fn bare<'a>(&self, id: &'a ItemId) -> &'a str {
        id.0.strip_prefix(self.prefix).unwrap_or_default()
    }

    /// Ours for one of Graph's.
    pub(super) fn id(&self, bare: &str) -> ItemId {
        match self.kind {
            SettingKind::Mailbox => ItemId(self.prefix.to_owned()),
            _ => ItemId(format!("{}{bare}", self.prefix)),
        }
    }

    /// Below the user.
    pub(super) fn path<'a>(&self, mailbox: &'a Mailbox) -> Vec<&'a str> {
        ["users", mailbox.id.0.as_str()].into_iter().chain(self.path.iter().copied()).collect()
    }

    fn as_folder(&self) -> Folder {
        Folder {
            id: FolderId(self.folder.to_owned()),
            parent: None,
            name: self.name.to_owned(),
            kind: FolderKind::Settings,
            well_known: None,
        }
    }

    /// All that Graph tells of it.
    pub(super) async fn read(
        &self,
        graph: &GraphProvider,
        mailbox: &Mailbox,
    ) -> Result<Vec<Value>, ExchangeError> {
        let ask = Ask {
            action: format!("{}: reading the {}", mailbox.address, self.name.to_lowercase()),
            right: SETTINGS_READ,
            mailbox: Some(mailbox),
            url: graph.url(&self.path(mailbox), &[]),
            prefer: None,
        };
        match self.kind {
            SettingKind::Mailbox => Ok(vec![graph.json(&ask).await?]),
            _ => all_pages(graph, ask).await,
        }
    }

    fn add(&self, told: Value, page: &mut Page<Item, ItemId>) {
        match self.item(told) {
            Ok(item) => page.changes.push(Change::Upsert(item)),
            Err(unread) => page.unread.push(unread),
        }
    }

    /// A setting as an item; or its identifier, and why it is not understood.
    pub(super) fn item(&self, told: Value) -> Result<Item, (ItemId, String)> {
        let Value::Object(mut value) = told else {
            return Err((self.id("(no id)"), "it is no object".to_owned()));
        };
        drop_answer(&mut value);
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let (id, subject) = match self.kind {
            SettingKind::Mailbox => (self.id(""), self.name.to_owned()),
            _ => match text("id").filter(|id| !id.is_empty()) {
                Some(id) => (self.id(&id), text("displayName").unwrap_or_default()),
                None => {
                    let name = zones::shortened(&text("displayName").unwrap_or_default());
                    return Err((self.id("(no id)"), format!("{name:?} was listed without an id")));
                }
            },
        };
        let value = Value::Object(value);
        let content_key = key(&value);
        let detail = Setting { kind: self.kind, value };
        Ok(Item {
            subject,
            // Nobody tells since when a setting is what it is.
            received: OffsetDateTime::UNIX_EPOCH,
            content_key,
            detail: Some(Detail::Setting(Box::new(detail))),
            ..Item::new(id, ItemKind::Setting, FolderId(self.folder.to_owned()))
        })
    }
}

/// A hash of JSON that does not depend on the order of properties. How deep it goes is bounded by
/// the reader of JSON.
pub(super) fn key(value: &Value) -> String {
    let mut hash = Sha256::new();
    add(&mut hash, value);
    BASE64URL_NOPAD.encode(&hash.finalize()[..15])
}

fn add(hash: &mut Sha256, value: &Value) {
    let mut put = |tag: u8, bytes: &[u8]| {
        hash.update([tag]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    match value {
        Value::Null => put(0, b""),
        Value::Bool(truth) => put(1, &[u8::from(*truth)]),
        Value::Number(number) => put(2, number.to_string().as_bytes()),
        Value::String(text) => put(3, text.as_bytes()),
        Value::Array(all) => {
            put(4, &(all.len() as u64).to_le_bytes());
            all.iter().for_each(|one| add(hash, one));
        }
        Value::Object(properties) => {
            put(5, &(properties.len() as u64).to_le_bytes());
            let mut sorted: Vec<_> = properties.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            for (name, value) in sorted {
                add(hash, &Value::String(name.clone()));
                add(hash, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn only(body: &Value, kind: SettingKind) -> Item {
        let mut page = parse_settings(body.to_string().as_bytes(), kind).unwrap();
        assert_eq!((page.changes.len(), page.next), (1, Next::Complete));
        match page.changes.remove(0) {
            Change::Upsert(item) => item,
            Change::Removed(id) => panic!("{id:?}"),
        }
    }

    #[test]
    fn a_changed_rule_is_seen_and_a_new_etag_is_not_a_change() {
        let rule = |etag: &str, enabled: bool| {
            let rule = json!({"@odata.etag": etag, "id": "AQ=", "displayName": "Move",
                "isEnabled": enabled, "actions": {"moveToFolder": "f"}});
            only(&json!({"value": [rule]}), SettingKind::InboxRule)
        };
        let (one, same, other) = (rule("1", true), rule("2", true), rule("1", false));
        assert_eq!(one.content_key, same.content_key);
        assert_ne!(one.content_key, other.content_key);
        assert_eq!((one.id.0.as_str(), one.subject.as_str()), ("setting:rule:AQ=", "Move"));
        assert_eq!(one.folder.0, "settings:rules");
        assert_eq!(Group::of(&one.id).map(|group| group.bare(&one.id)), Some("AQ="));
    }

    #[test]
    fn the_settings_of_a_mailbox_are_one_item() {
        let told = json!({"@odata.context": "x", "timeZone": "UTC", "language": {"locale": "en"}});
        let item = only(&told, SettingKind::Mailbox);
        assert_eq!(item.id.0, "setting:mailbox");
        let Some(Detail::Setting(setting)) = item.detail else { panic!("{item:?}") };
        assert_eq!(setting.value, json!({"timeZone": "UTC", "language": {"locale": "en"}}));
    }

    #[test]
    fn an_odd_rule_does_not_take_the_others_with_it_and_an_answer_that_is_no_list_is_none() {
        let told = json!({"value": [7, {"displayName": "Nameless"}, {"id": "b"}]}).to_string();
        let page = parse_settings(told.as_bytes(), SettingKind::InboxRule).unwrap();
        assert_eq!((page.changes.len(), page.unread.len()), (1, 2));
        for odd in ["{}", "[]", "7", r#"{"value":{}}"#, "{"] {
            assert!(parse_settings(odd.as_bytes(), SettingKind::Category).is_err(), "{odd}");
        }
    }

    #[test]
    fn json_of_the_same_text_in_other_places_has_another_key() {
        let odd = [json!({"a": ["b"]}), json!({"a": "b"}), json!(["a", "b"]), json!([["a"], "b"])];
        let keys: std::collections::HashSet<_> = odd.iter().map(key).collect();
        assert_eq!(keys.len(), odd.len());
        assert_eq!(key(&json!({"a": 1, "b": 2})), key(&json!({"b": 2, "a": 1})));
    }
}
