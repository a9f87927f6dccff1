//! Everything that can go wrong while Mailkeep works: what happens, and what it costs.

use serde::Deserialize;
use serde_json::{Value, json};

/// One thing that goes wrong; a line of a `faults_of_….jsonl`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) costs: Costs,
    /// With which exit code the pass ends that it costs.
    #[serde(default)]
    exit: i32,
    /// Words that must be said.
    #[serde(default)]
    pub(crate) says: Vec<String>,
    /// What the provider does (`POST /_lab/faults`). `item` is `message`, `event` or `contact`: the
    /// one of the scene. Requests into other mailboxes are left alone.
    #[serde(default)]
    rules: Vec<Value>,
    /// How many seconds the provider's clock is ahead of ours.
    #[serde(default)]
    pub(crate) clock: Option<i64>,
    /// What fails on our side.
    #[serde(default)]
    pub(crate) ours: Option<Ours>,
}

/// What fails on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Ours {
    /// The signer is not there when the pass begins.
    #[serde(rename = "signer gone")]
    SignerGone,
    /// The signer is killed while the folders are read.
    #[serde(rename = "signer dies")]
    SignerDies,
    /// The vault's disk is full.
    #[serde(rename = "vault full")]
    VaultFull,
    /// The vault's disk can no longer be written.
    #[serde(rename = "vault read-only")]
    VaultReadOnly,
}

/// What a fault costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Costs {
    /// Nobody notices.
    Nothing,
    /// The items that its rules name are missed, and said to be; all else is safe.
    Item,
    /// The provider keeps some changes to itself until the next pass; nobody can notice.
    Patience,
    /// Nothing is stored in this pass.
    Pass,
}

/// What the rules of a [`Fault`] are about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    /// Address of the mailbox.
    pub(crate) mailbox: String,
    /// A new message, event and contact, which this fault may spoil.
    pub(crate) message: String,
    pub(crate) event: String,
    pub(crate) contact: String,
}

/// What a backup may meet.
pub(crate) fn faults_of_backup() -> Vec<Fault> {
    parse(include_str!("faults_of_backup.jsonl"))
}

/// What a restore may meet at the provider.
pub(crate) fn faults_of_restore() -> Vec<Fault> {
    parse(include_str!("faults_of_restore.jsonl"))
}

fn parse(lines: &str) -> Vec<Fault> {
    let parse = |line| match serde_json::from_str(line) {
        Ok(fault) => fault,
        Err(error) => panic!("{error}: {line}"),
    };
    lines.lines().map(parse).collect()
}

impl Fault {
    /// Milliseconds that the provider takes for the folders while the signer is to die.
    pub(crate) const TIME_TO_KILL: u32 = 701;

    /// What the provider does, none for a fault of our own.
    pub(crate) fn rules(&self, scene: &Scene) -> Vec<Value> {
        let mut rules = self.rules.clone();
        if self.ours == Some(Ours::SignerDies) {
            // Long enough for the signer to be killed meanwhile.
            rules.push(json!({"operation": "folders.delta", "delay_ms": Self::TIME_TO_KILL,
                              "times": 1}));
        }
        for rule in &mut rules {
            if !is_of_the_tenant(rule) {
                rule["mailbox"] = json!(scene.mailbox);
            }
            match rule.get("item").and_then(Value::as_str) {
                Some("message") => rule["item"] = json!(scene.message),
                Some("event") => rule["item"] = json!(scene.event),
                Some("contact") => rule["item"] = json!(scene.contact),
                _ => {}
            }
        }
        rules
    }

    /// The item that it costs.
    pub(crate) fn spoils<'a>(&self, scene: &'a Scene) -> Option<&'a str> {
        let rule = self.rules.iter().find(|_| self.costs == Costs::Item)?;
        Some(match rule["item"].as_str()? {
            "event" => &scene.event,
            "contact" => &scene.contact,
            _ => &scene.message,
        })
    }

    /// The exit code of a run that meets this and nothing worse.
    pub(crate) fn exit(&self) -> i32 {
        match self.costs {
            Costs::Nothing | Costs::Patience => 0,
            Costs::Item => 3,
            Costs::Pass => self.exit,
        }
    }

    /// Which of several that cost the pass comes first.
    pub(crate) fn stage(&self) -> u8 {
        match (self.ours, self.clock) {
            (Some(Ours::SignerGone), _) => 0,
            (_, Some(_)) => 1,
            (None | Some(Ours::SignerDies), None) => 2,
            (Some(Ours::VaultFull | Ours::VaultReadOnly), None) => 3,
        }
    }

    /// Whether the disk fails, which takes a disk of our own to show.
    pub(crate) fn needs_a_disk(&self) -> bool {
        matches!(self.ours, Some(Ours::VaultFull | Ours::VaultReadOnly))
    }

    /// Whether passes over other mailboxes are not touched by it.
    pub(crate) fn stays_in_one_mailbox(&self) -> bool {
        // A token is the tenant's, too.
        let is_wider = |rule: &Value| is_of_the_tenant(rule) || rule["invalidate"] == "tokens";
        self.ours.is_none() && self.clock.is_none() && !self.rules.iter().any(is_wider)
    }

    /// Whether it takes an item that does not fit into one request.
    pub(crate) fn is_about_uploads(&self) -> bool {
        let of_upload =
            |rule: &Value| rule["operation"].as_str().unwrap_or_default().starts_with("upload.");
        self.rules.iter().any(of_upload)
    }

    /// Whether both can happen to one pass, and then have effect.
    pub(crate) fn goes_with(&self, other: &Self) -> bool {
        let place = |fault: &Self| match (fault.ours, fault.clock) {
            (Some(Ours::SignerGone | Ours::SignerDies), _) => "signer".to_owned(),
            (Some(Ours::VaultFull | Ours::VaultReadOnly), _) => "vault".to_owned(),
            (None, Some(_)) => "clock".to_owned(),
            (None, None) => fault.name.clone(),
        };
        // Without its signer a pass cannot get another token.
        let dies = |fault: &Self| fault.ours == Some(Ours::SignerDies);
        let renews = |fault: &Self| fault.rules.iter().any(|r| r["invalidate"] == "tokens");
        // Where every cursor is refused, none is left to expire.
        let refuses = |fault: &Self| fault.rules.iter().any(|r| r["status"] == 410);
        let expires = |fault: &Self| fault.rules.iter().any(|r| r["invalidate"] == "cursors");
        let clash =
            |one: &Self, two: &Self| dies(one) && renews(two) || refuses(one) && expires(two);
        place(self) != place(other) && !clash(self, other) && !clash(other, self)
    }
}

fn is_of_the_tenant(rule: &Value) -> bool {
    // The address of an upload names no mailbox.
    matches!(
        rule["operation"].as_str(),
        Some("token" | "users.list" | "users.delta" | "upload.put")
    )
}
