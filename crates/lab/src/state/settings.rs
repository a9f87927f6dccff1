//! What a mailbox has besides items: settings, inbox rules, categories, and lists of tasks.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::BASE64URL;
use serde_json::{Map, Value};

use super::{MailboxState, Refusal};

type Fields = Map<String, Value>;

/// The numbers of the lists that every mailbox has; they are none that a mailbox gives out itself.
const TASKS: u64 = 0x7fff_0000_0000_0301;
const FLAGGED: u64 = 0x7fff_0000_0000_0302;

/// Everything of a mailbox that is no item of mail, calendars or contacts.
#[derive(Debug)]
pub(crate) struct Settings {
    /// What somebody has set; everything else is as in a new mailbox.
    pub(crate) mailbox: Fields,
    pub(crate) rules: Vec<Entity>,
    /// `None`: those of a new mailbox.
    pub(crate) categories: Option<Vec<Entity>>,
    pub(crate) lists: Vec<TaskList>,
    /// Lists that were deleted, by the change that did it: number and creation.
    pub(crate) gone: BTreeMap<u64, (u64, u64)>,
}

/// Something small with an id and properties as Graph writes them.
#[derive(Clone, Debug)]
pub(crate) struct Entity {
    pub(crate) id: Box<str>,
    pub(crate) fields: Fields,
}

/// A list of tasks.
#[derive(Clone, Debug)]
pub(crate) struct TaskList {
    pub(crate) number: u64,
    pub(crate) name: Box<str>,
    /// `wellknownListName`
    pub(crate) role: &'static str,
    pub(crate) entered: u64,
    pub(crate) changed: u64,
    pub(crate) tasks: BTreeMap<u64, Task>,
    /// Tasks that were deleted, by the change that did it: number and creation.
    pub(crate) gone: BTreeMap<u64, (u64, u64)>,
}

/// A task.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) entered: u64,
    pub(crate) changed: u64,
    /// Unix times.
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) fields: Fields,
    /// When its body was written last.
    pub(crate) body_modified: i64,
    pub(crate) checklist: Vec<Entity>,
    pub(crate) linked: Vec<Entity>,
    pub(crate) files: Vec<TaskFile>,
    /// Open extensions, by their name.
    pub(crate) extensions: Vec<Entity>,
}

/// A file that is attached to a task.
#[derive(Clone, Debug)]
pub(crate) struct TaskFile {
    pub(crate) id: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) content_type: Box<str>,
    /// Unix time.
    pub(crate) modified: i64,
    pub(crate) bytes: Bytes,
}

impl Default for Settings {
    fn default() -> Self {
        let list = |number, name: &str, role, change| TaskList {
            number,
            name: name.into(),
            role,
            entered: change,
            changed: change,
            tasks: BTreeMap::new(),
            gone: BTreeMap::new(),
        };
        Self {
            mailbox: Map::new(),
            rules: Vec::new(),
            categories: None,
            lists: vec![
                list(TASKS, "Tasks", "defaultList", 1),
                list(FLAGGED, "Flagged Emails", "flaggedEmails", 2),
            ],
            gone: BTreeMap::new(),
        }
    }
}

impl TaskList {
    /// Whether a person has made it.
    pub(crate) fn is_own(&self) -> bool {
        self.role == "none"
    }
}

impl Settings {
    pub(crate) fn sort_rules(&mut self) {
        self.rules.sort_by_key(|rule| rule.fields["sequence"].as_i64().unwrap_or_default());
    }

    pub(crate) fn list(&self, number: u64) -> Option<&TaskList> {
        self.lists.iter().find(|list| list.number == number)
    }
}

impl MailboxState {
    /// Adds an inbox rule, in the order of their sequence.
    pub(crate) fn add_rule(&mut self, fields: Fields) -> Entity {
        let mut raw = vec![0x01, 0x00, 0x00, 0x00];
        raw.extend_from_slice(&self.next_number().to_be_bytes());
        let rule = Entity { id: BASE64URL.encode(&raw).into(), fields };
        self.settings.rules.push(rule.clone());
        self.settings.sort_rules();
        rule
    }

    pub(crate) fn create_task_list(&mut self, name: &str) -> u64 {
        let (number, change) = (self.next_number(), self.next_change());
        self.settings.lists.push(TaskList {
            number,
            name: name.into(),
            role: "none",
            entered: change,
            changed: change,
            tasks: BTreeMap::new(),
            gone: BTreeMap::new(),
        });
        number
    }

    pub(crate) fn rename_task_list(&mut self, number: u64, name: &str) -> Result<(), Refusal> {
        let change = self.next_change();
        let list = self.own_list(number)?;
        list.name = name.into();
        list.changed = change;
        Ok(())
    }

    pub(crate) fn delete_task_list(&mut self, number: u64) -> Result<(), Refusal> {
        let change = self.next_change();
        let entered = self.own_list(number)?.entered;
        self.settings.lists.retain(|list| list.number != number);
        self.settings.gone.insert(change, (number, entered));
        Ok(())
    }

    pub(crate) fn add_task(
        &mut self,
        list: u64,
        fields: Fields,
        linked: Vec<Entity>,
        now: i64,
    ) -> Result<u64, Refusal> {
        let (number, change) = (self.next_number(), self.next_change());
        let task = Task {
            entered: change,
            changed: change,
            created: now,
            modified: now,
            body_modified: now,
            fields,
            checklist: Vec::new(),
            linked,
            files: Vec::new(),
            extensions: Vec::new(),
        };
        self.task_list(list)?.tasks.insert(number, task);
        Ok(number)
    }

    pub(crate) fn change_task(
        &mut self,
        list: u64,
        task: u64,
        now: i64,
        change: impl FnOnce(&mut Task),
    ) -> Result<(), Refusal> {
        let at = self.next_change();
        let task = self.task_list(list)?.tasks.get_mut(&task).ok_or(Refusal::NoSuchItem)?;
        change(task);
        task.changed = at;
        task.modified = now;
        Ok(())
    }

    pub(crate) fn delete_task(&mut self, list: u64, task: u64) -> Result<(), Refusal> {
        let at = self.next_change();
        let list = self.task_list(list)?;
        let gone = list.tasks.remove(&task).ok_or(Refusal::NoSuchItem)?;
        list.gone.insert(at, (task, gone.entered));
        Ok(())
    }

    fn task_list(&mut self, number: u64) -> Result<&mut TaskList, Refusal> {
        let mut lists = self.settings.lists.iter_mut();
        lists.find(|list| list.number == number).ok_or(Refusal::NoSuchFolder)
    }

    /// A list that a person has made.
    fn own_list(&mut self, number: u64) -> Result<&mut TaskList, Refusal> {
        let list = self.task_list(number)?;
        if list.is_own() { Ok(list) } else { Err(Refusal::Distinguished) }
    }
}
