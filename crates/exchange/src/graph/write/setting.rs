//! Settings, written back.
//!
//! Nothing that is restored sends anything: automatic replies come back off, and so do rules that
//! forward. [Decision 0010](../../../../../docs/decisions/0010-tasks-settings-streams.md) has the
//! reasons.
//!
//! Sources: the Graph pages "Update user mailbox settings", "Create rule", `messageRuleActions`,
//! "Create outlookCategory".

use mailkeep_model::{Detail, ItemId, Mailbox, Setting, SettingKind};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::serialized;
use crate::{
    Created, ExchangeError, Existing, NewItem, Wanted,
    graph::{
        client::{Ask, GraphProvider, MAX_FAULTS, Patience},
        refusal::is_foreign_id,
        send::Posted,
        settings::{GROUPS, Group, key},
    },
};

/// The right that writing settings needs.
const SETTINGS: &str = "MailboxSettings.ReadWrite";
/// What of the settings of a mailbox can be written.
const WRITABLE: [&str; 7] = [
    "automaticRepliesSetting",
    "dateFormat",
    "delegateMeetingMessageDeliveryOptions",
    "language",
    "timeFormat",
    "timeZone",
    "workingHours",
];
/// Actions of a rule that send something to somebody.
const SENDING: [&str; 3] = ["forwardTo", "forwardAsAttachmentTo", "redirectTo"];
/// Actions of a rule that name a folder.
const INTO_FOLDERS: [&str; 2] = ["moveToFolder", "copyToFolder"];

/// Writes a setting back.
pub(super) async fn create(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    new: &NewItem<'_>,
) -> Result<Created, ExchangeError> {
    let (Some(Detail::Setting(setting)), Some(group)) = (&new.item.detail, Group::of(&new.item.id))
    else {
        return Err(ExchangeError::unsupported(
            format!("{}: restoring a setting", mailbox.address),
            "the backup holds no more of it than its name",
        ));
    };
    let write = Write { graph, mailbox, group, replaces: new.replaces };
    match setting.kind {
        SettingKind::Mailbox => write.mailbox(setting).await,
        SettingKind::InboxRule => write.rule(setting).await,
        SettingKind::Category => write.category(setting).await,
        _ => Err(ExchangeError::unsupported(write.action(), "not a kind that Graph takes")),
    }
}

/// Those of `wanted` that are there. Settings carry no marks: they are told by what they are, see
/// [`create`].
pub(super) async fn existing(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    wanted: &[Wanted],
) -> Result<Vec<Existing>, ExchangeError> {
    let mut existing = Vec::new();
    for group in &GROUPS {
        let is_of_it =
            |one: &&Wanted| Group::of(&one.item).is_some_and(|known| known.kind == group.kind);
        let wanted: Vec<&Wanted> = wanted.iter().filter(is_of_it).collect();
        if wanted.is_empty() {
            continue;
        }
        let all = group.read(graph, mailbox).await?;
        let all = all.into_iter().filter_map(|told| group.item(told).ok());
        let there = all.filter(|item| wanted.iter().any(|one| one.item == item.id));
        existing.extend(there.map(|item| Existing::new(item.id, item.folder, item.content_key)));
    }
    Ok(existing)
}

/// Deletes an inbox rule or a category.
pub(super) async fn delete(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<(), ExchangeError> {
    let action = format!("{}: deleting a setting", mailbox.address);
    let Some(group) = Group::of(id).filter(|group| group.kind != SettingKind::Mailbox) else {
        return Err(ExchangeError::unsupported(action, "it can be changed, but not deleted"));
    };
    let path = [&group.path(mailbox)[..], &[group.bare(id)]].concat();
    let url = graph.url(&path, &[]);
    let ask = Ask { action, right: SETTINGS, mailbox: Some(mailbox), url, prefer: None };
    match graph.change(&ask, Method::DELETE, None).await {
        Err(error) if !is_foreign_id(&error) => Err(error),
        _ => Ok(()),
    }
}

struct Write<'a> {
    graph: &'a GraphProvider,
    mailbox: &'a Mailbox,
    group: &'static Group,
    replaces: &'a [ItemId],
}

impl Write<'_> {
    fn action(&self) -> String {
        format!("{}: restoring a setting", self.mailbox.address)
    }

    fn ask(&self, below: &[&str]) -> Ask<'_> {
        let path = [&self.group.path(self.mailbox)[..], below].concat();
        Ask {
            action: self.action(),
            right: SETTINGS,
            mailbox: Some(self.mailbox),
            url: self.graph.url(&path, &[]),
            prefer: None,
        }
    }

    async fn patch(&self, fields: &Map<String, Value>) -> Result<(), ExchangeError> {
        let body = Some(serialized(fields));
        self.graph.change(&self.ask(&[]), Method::PATCH, body).await.map(drop)
    }

    /// All that can be written of the settings of a mailbox; where Graph refuses them together, each
    /// by itself.
    async fn mailbox(&self, setting: &Setting) -> Result<Created, ExchangeError> {
        let mut lost = Vec::new();
        let fields = writable(&setting.value, &mut lost);
        match self.patch(&fields).await {
            Err(ExchangeError::Answer { status: 400, .. }) => {
                for (name, value) in fields {
                    let alone = Map::from_iter([(name.clone(), value)]);
                    match self.patch(&alone).await {
                        Err(ExchangeError::Answer { status: 400, message, .. }) => {
                            lost.push(format!("{name} was refused: {message}"));
                        }
                        done => done?,
                    }
                }
            }
            done => done?,
        }
        Ok(Created { id: self.group.id(""), lost, doubtful: false })
    }

    /// A category of the name that is there is taken for it.
    async fn category(&self, setting: &Setting) -> Result<Created, ExchangeError> {
        let told = |name: &str| setting.value.get(name).and_then(Value::as_str);
        let name = told("displayName").unwrap_or_default();
        let color = told("color").unwrap_or("none");
        let body = serialized(&json!({ "displayName": name, "color": color }));
        let mut patience = Patience::default();
        loop {
            if let Some(there) = self.category_of(name).await? {
                return self.recolored(&there, color).await;
            }
            let error = match self.graph.post(&self.ask(&[]), body.clone()).await {
                Ok(Posted::Done(answer)) => match serde_json::from_slice::<Value>(&answer) {
                    Ok(Value::Object(made)) if made.contains_key("id") => {
                        let id = made["id"].as_str().unwrap_or_default();
                        let id = self.group.id(id);
                        return Ok(Created { id, lost: Vec::new(), doubtful: false });
                    }
                    _ => ExchangeError::protocol(self.action(), "the answer is no category"),
                },
                Ok(Posted::Unknown(error)) => error,
                // Somebody was faster; it is found now.
                Err(error @ ExchangeError::Answer { status: 409, .. }) => error,
                Err(error) => return Err(error),
            };
            let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(error) };
            self.graph.counters().add_retried();
            tokio::time::sleep(wait).await;
        }
    }

    async fn category_of(&self, name: &str) -> Result<Option<Value>, ExchangeError> {
        let all = self.group.read(self.graph, self.mailbox).await?;
        Ok(all.into_iter().find(|one| {
            one["displayName"]
                .as_str()
                .is_some_and(|told| told.to_lowercase() == name.to_lowercase())
        }))
    }

    /// Its colour is changed only when it is to be replaced: else somebody has chosen it since.
    async fn recolored(&self, there: &Value, color: &str) -> Result<Created, ExchangeError> {
        let bare = there["id"].as_str().unwrap_or_default();
        let id = self.group.id(bare);
        let mut lost = Vec::new();
        if there["color"].as_str().unwrap_or("none") != color {
            if self.replaces.contains(&id) {
                let body = Some(serialized(&json!({ "color": color })));
                self.graph.change(&self.ask(&[bare]), Method::PATCH, body).await?;
            } else {
                lost.push("its colour: a category of this name is there in another one".into());
            }
        }
        Ok(Created { id, lost, doubtful: false })
    }

    /// A rule that says the same is taken for it.
    async fn rule(&self, setting: &Setting) -> Result<Created, ExchangeError> {
        let mut lost = Vec::new();
        let mut fields =
            rule(&setting.value).map_err(|why| ExchangeError::unsupported(self.action(), why))?;
        self.drop_lost_folders(&mut fields, &mut lost).await?;
        without_sending(&mut fields, &mut lost);
        if fields["actions"].as_object().is_none_or(Map::is_empty) {
            let why = format!("nothing is left that it would do ({})", lost.join("; "));
            return Err(ExchangeError::unsupported(self.action(), why));
        }
        let wanted = meaning(&fields);
        let body = serialized(&fields);
        let mut patience = Patience::default();
        loop {
            let all = self.group.read(self.graph, self.mailbox).await?;
            let there = all.iter().filter(|one| meaning(one) == wanted);
            let there = there.filter_map(|one| Some(self.group.id(one["id"].as_str()?)));
            let mut there = there.filter(|id| !self.replaces.contains(id));
            if let Some(id) = there.next() {
                return Ok(Created { id, lost, doubtful: false });
            }
            let error = match self.graph.post(&self.ask(&[]), body.clone()).await? {
                Posted::Done(answer) => match serde_json::from_slice::<Value>(&answer) {
                    Ok(made) if made["id"].is_string() => {
                        let id = self.group.id(made["id"].as_str().unwrap_or_default());
                        return Ok(Created { id, lost, doubtful: false });
                    }
                    _ => ExchangeError::protocol(self.action(), "the answer is no rule"),
                },
                Posted::Unknown(error) => error,
            };
            let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(error) };
            self.graph.counters().add_retried();
            tokio::time::sleep(wait).await;
        }
    }

    /// A folder that is no longer there is not guessed: another of its name may be for other mail.
    async fn drop_lost_folders(
        &self,
        fields: &mut Value,
        lost: &mut Vec<String>,
    ) -> Result<(), ExchangeError> {
        for action in INTO_FOLDERS {
            let Some(folder) = fields["actions"][action].as_str().map(str::to_owned) else {
                continue;
            };
            let path = ["users", &self.mailbox.id.0, "mailFolders", &folder];
            let url = self.graph.url(&path, &[("$select", "id")]);
            let right = super::MAIL;
            let action_of = format!("{}: looking for the folder of a rule", self.mailbox.address);
            let ask =
                Ask { action: action_of, right, mailbox: Some(self.mailbox), url, prefer: None };
            match self.graph.json::<Value>(&ask).await {
                Ok(_) => continue,
                Err(error) if is_foreign_id(&error) => {}
                Err(error) => return Err(error),
            }
            if let Some(actions) = fields["actions"].as_object_mut() {
                actions.remove(action);
            }
            fields["isEnabled"] = json!(false);
            lost.push(format!(
                "{action}: the folder is not there (any more). The rule is off: choose a folder in \
                 Outlook, then switch it on"
            ));
        }
        Ok(())
    }
}

/// What of the settings of a mailbox is written. Automatic replies come back as they were, but off.
fn writable(value: &Value, lost: &mut Vec<String>) -> Map<String, Value> {
    let mut fields = Map::new();
    for name in WRITABLE {
        let Some(told) = value.get(name).filter(|told| !told.is_null()) else { continue };
        let mut told = told.clone();
        if let Value::Object(properties) = &mut told {
            properties.retain(|key, value| !key.starts_with('@') && !value.is_null());
        }
        match name {
            "automaticRepliesSetting" => {
                let status = told["status"].as_str().unwrap_or_default();
                if !status.eq_ignore_ascii_case("disabled") {
                    lost.push(
                        "automatic replies are back, but off: switch them on in Outlook".to_owned(),
                    );
                }
                told["status"] = json!("disabled");
            }
            "language" => {
                // Its name is told only.
                if let Value::Object(properties) = &mut told {
                    properties.remove("displayName");
                }
            }
            _ => {}
        }
        fields.insert(name.to_owned(), told);
    }
    fields
}

/// What a rule is made with; or why it is not.
fn rule(value: &Value) -> Result<Value, &'static str> {
    if value["isReadOnly"] == true {
        // Without a condition that Graph does not tell, it would do to all mail what it did to some.
        return Err("Graph tells only a part of this rule, which was made in Outlook for Windows");
    }
    let mut fields = Map::new();
    for name in ["displayName", "sequence", "isEnabled", "conditions", "actions", "exceptions"] {
        let Some(told) = value.get(name).filter(|told| !told.is_null()) else { continue };
        let mut told = told.clone();
        if let Value::Object(properties) = &mut told {
            properties.retain(|key, value| !key.starts_with('@') && !is_nothing(value));
        }
        fields.insert(name.to_owned(), told);
    }
    if value["hasError"] == true {
        fields.insert("isEnabled".into(), json!(false));
    }
    fields.entry("actions").or_insert_with(|| json!({}));
    Ok(Value::Object(fields))
}

/// A rule that would send something is restored, but off.
fn without_sending(fields: &mut Value, lost: &mut Vec<String>) {
    let sends = SENDING.iter().any(|name| !is_nothing(&fields["actions"][name]));
    if sends && fields["isEnabled"] != false {
        fields["isEnabled"] = json!(false);
        lost.push("the rule forwards mail: it is back, but off. Switch it on in Outlook".into());
    }
}

/// What a rule does, and to which mail: by what it is called the same or not the same. Its place, its
/// identifier and whether it is on are not a part of it.
fn meaning(rule: &Value) -> String {
    let mut told = Map::new();
    told.insert("displayName".into(), rule["displayName"].clone());
    for name in ["conditions", "actions", "exceptions"] {
        let mut part = rule.get(name).cloned().unwrap_or_default();
        if let Value::Object(properties) = &mut part {
            properties.retain(|key, value| !key.starts_with('@') && !is_nothing(value));
        }
        if !is_nothing(&part) {
            // Identifiers of folders are not texts.
            let part = if name == "actions" { part } else { lowered(part) };
            told.insert(name.into(), part);
        }
    }
    key(&Value::Object(told))
}

/// Exchange gives the texts that a rule looks for back in capitals.
fn lowered(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.to_lowercase()),
        Value::Array(all) => all.into_iter().map(lowered).collect(),
        Value::Object(all) => {
            Value::Object(all.into_iter().map(|(name, value)| (name, lowered(value))).collect())
        }
        other => other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_replies_are_restored_off_and_nothing_is_written_that_is_only_told() {
        let mut lost = Vec::new();
        let told = json!({
            "automaticRepliesSetting": {"status": "alwaysEnabled", "internalReplyMessage": "Away"},
            "language": {"locale": "de-DE", "displayName": "Deutsch"}, "timeZone": "UTC",
            "userPurpose": "user", "archiveFolder": "f", "dateFormat": null,
        });
        let fields = Value::Object(writable(&told, &mut lost));
        assert_eq!(fields["automaticRepliesSetting"]["status"], "disabled");
        assert_eq!(fields["automaticRepliesSetting"]["internalReplyMessage"], "Away");
        assert_eq!(fields["language"], json!({"locale": "de-DE"}));
        assert!(fields.get("userPurpose").is_none() && fields.get("dateFormat").is_none());
        assert_eq!(lost.len(), 1);
        let mut lost = Vec::new();
        writable(&json!({"automaticRepliesSetting": {"status": "Disabled"}}), &mut lost);
        assert!(lost.is_empty());
    }

    #[test]
    fn a_rule_that_forwards_is_restored_off_and_others_as_they_were() {
        for (actions, enabled) in [
            (json!({"forwardTo": [{"emailAddress": {"address": "x@y.example"}}]}), false),
            (json!({"redirectTo": [{}], "markAsRead": true}), false),
            (json!({"markAsRead": true, "forwardTo": []}), true),
        ] {
            let told = json!({"displayName": "x", "isEnabled": true, "actions": actions});
            let mut fields = rule(&told).unwrap();
            let mut lost = Vec::new();
            without_sending(&mut fields, &mut lost);
            assert_eq!((&fields["isEnabled"], lost.is_empty()), (&json!(enabled), enabled));
        }
        assert!(rule(&json!({"displayName": "x", "isReadOnly": true})).is_err());
        assert_eq!(
            rule(&json!({"isEnabled": true, "hasError": true})).unwrap()["isEnabled"],
            false
        );
    }

    #[test]
    fn rules_that_say_the_same_are_the_same_whatever_their_place() {
        let one = json!({"id": "1", "sequence": 1, "isEnabled": true, "displayName": "Move",
            "conditions": {"subjectContains": ["News"], "bodyContains": null},
            "actions": {"moveToFolder": "f"}});
        let same = json!({"id": "2", "sequence": 9, "isEnabled": false, "displayName": "Move",
            "conditions": {"subjectContains": ["NEWS"]}, "actions": {"moveToFolder": "f"},
            "exceptions": {}});
        let other = json!({"displayName": "Move", "conditions": {"subjectContains": ["Olds"]},
            "actions": {"moveToFolder": "f"}});
        assert_eq!(meaning(&one), meaning(&same));
        assert_ne!(meaning(&one), meaning(&other));
    }
}
