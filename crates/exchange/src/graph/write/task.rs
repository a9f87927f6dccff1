//! Tasks as Graph's JSON, and the making of one.

use data_encoding::BASE64;
use mailkeep_model::{
    Attachment, Body, Detail, Folder, Importance, ItemId, Mailbox, Task, TaskStatus, ZonedTime,
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    UNFINISHED,
    event::{local_text, repeated_from},
    serialized,
    task_marks::{self, Carries, EXTENSION},
};
use crate::{
    Created, ExchangeError, Looked, NewItem,
    graph::{
        client::{Ask, GraphProvider, MAX_FAULTS, Patience},
        refusal::is_foreign_id,
        send::Posted,
        tasks,
    },
};

/// The right that writing tasks needs.
pub(super) const TASKS: &str = "Tasks.ReadWrite.All";
/// Longest file for a request of its own ("under 3 MB"). An upload session, for larger ones, is not
/// for applications (`taskFileAttachment: createUploadSession`).
const LONGEST_FILE: usize = 3_000_000;
/// How often a task is made anew that broke off half-made.
const MAX_ATTEMPTS: u32 = 3;
/// To Do takes no task without a title.
const NO_TITLE: &str = "(no title)";

/// What there is to do.
struct Plan<'a> {
    /// The first request, without our mark.
    fields: Map<String, Value>,
    steps: Vec<Value>,
    /// Those that did not fit into the first request, which takes one.
    links: Vec<Value>,
    files: Vec<&'a Attachment>,
    lost: Vec<String>,
}

/// A task that was made, or found.
#[derive(Deserialize)]
struct Made {
    id: String,
}

struct Make<'a> {
    graph: &'a GraphProvider,
    mailbox: &'a Mailbox,
    list: &'a Folder,
    new: &'a NewItem<'a>,
}

/// Writes a task back. When it was made cannot be written: Graph says it is now.
pub(super) async fn create(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    list: &Folder,
    new: &NewItem<'_>,
) -> Result<Created, ExchangeError> {
    let Some(Detail::Task(task)) = &new.item.detail else {
        return Err(ExchangeError::unsupported(
            format!("{}: restoring a task", mailbox.address),
            "the backup holds no more of it than its heading",
        ));
    };
    Make { graph, mailbox, list, new }.whole(plan(task, new.attachments)).await
}

impl Make<'_> {
    async fn whole(&self, plan: Plan<'_>) -> Result<Created, ExchangeError> {
        let several = plan.steps.len() + plan.links.len() + plan.files.len() > 0;
        let mark = self.new.origin.mark.text();
        let first = if several { format!("{UNFINISHED}{mark}") } else { mark.clone() };
        if self.new.looked == Looked::NotYet
            && let Some(id) = self.find(&plan, Carries::Exactly(&mark)).await?.pop()
        {
            return Ok(Created { id, lost: plan.lost, doubtful: false });
        }
        let (mut attempt, mut doubtful) = (1, false);
        let (id, lost) = loop {
            if several {
                let half_made = format!("{UNFINISHED}{}.", self.new.origin.mark.item);
                for id in self.find(&plan, Carries::AtTheFront(&half_made)).await? {
                    remove(self.graph, self.mailbox, &self.list.id.0, &id).await?;
                }
            }
            let (id, repeated) = self.begin(&plan, &first).await?;
            doubtful |= repeated;
            match self.finish(&id, &plan, several).await {
                Ok(lost) => break (id, lost),
                Err(error) if error.is_transient() && attempt < MAX_ATTEMPTS => {
                    tracing::debug!(attempt, %error, "a restored task broke off half-made");
                    attempt += 1;
                }
                Err(error) => {
                    // What stays behind when this fails is found by the next restore.
                    let _ = remove(self.graph, self.mailbox, &self.list.id.0, &id).await;
                    return Err(error);
                }
            }
        };
        if doubtful {
            let keep: Vec<ItemId> = self.new.replaces.iter().chain([&id]).cloned().collect();
            let (graph, mark) = (self.graph, &self.new.origin.mark);
            let done = task_marks::remove_doubles(graph, self.mailbox, self.list, mark, &keep);
            // Whoever asked looks once more later: that this fails costs nothing.
            if let Err(error) = done.await {
                tracing::debug!(%error, "looking for a second one failed");
            }
        }
        Ok(Created { id, lost: plan.lost.into_iter().chain(lost).collect(), doubtful })
    }

    /// The first request, until it is sure what it made; and whether it was repeated.
    async fn begin(&self, plan: &Plan<'_>, mark: &str) -> Result<(ItemId, bool), ExchangeError> {
        let mut fields = plan.fields.clone();
        let extension = task_marks::extension(mark, self.new);
        fields.insert("extensions".into(), json!([extension]));
        let body = serialized(&fields);
        let ask = self.ask(&[]);
        let mut patience = Patience::default();
        let mut doubtful = false;
        loop {
            let error = match self.graph.post(&ask, body.clone()).await? {
                Posted::Done(answer) => match serde_json::from_slice::<Made>(&answer) {
                    Ok(made) => return Ok((ItemId(made.id), doubtful)),
                    Err(error) => ExchangeError::protocol(
                        &ask.action,
                        format!("the answer is not understood: {error}"),
                    ),
                },
                Posted::Unknown(error) => error,
            };
            let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(error) };
            self.graph.counters().add_retried();
            tokio::time::sleep(wait).await;
            if let Some(id) = self.find(plan, Carries::Exactly(mark)).await?.pop() {
                return Ok((id, doubtful));
            }
            doubtful = true;
        }
    }

    /// The other requests, and with the last of them the task is whole. What Graph refused is told.
    async fn finish(
        &self,
        id: &ItemId,
        plan: &Plan<'_>,
        several: bool,
    ) -> Result<Vec<String>, ExchangeError> {
        if !several {
            return Ok(Vec::new());
        }
        let mut lost = Vec::new();
        // What is refused for good does not cost the task.
        let mut post = async |part: &str, what: &str, name: &str, value: &Value| {
            let ask = self.ask(&[&id.0, part]);
            // A failure leaves it open whether it is there; the task is then made anew.
            let posted = match self.graph.post(&ask, serialized(value)).await {
                Ok(posted) => posted.certain().map(drop),
                Err(error) => Err(error),
            };
            match posted {
                Err(ExchangeError::Answer { status, message, .. })
                    if (400..500).contains(&status) && status != 408 =>
                {
                    lost.push(format!("the {what} {name:?} was refused: {message}"));
                    Ok(())
                }
                done => done,
            }
        };
        let called = |value: &Value| value["displayName"].as_str().unwrap_or_default().to_owned();
        for step in &plan.steps {
            post("checklistItems", "step", &called(step), step).await?;
        }
        for link in &plan.links {
            post("linkedResources", "link", &called(link), link).await?;
        }
        for file in &plan.files {
            post("attachments", "attachment", &file.info.name, &attached(file)).await?;
        }
        let mark = json!({
            "@odata.type": "microsoft.graph.openTypeExtension",
            "extensionName": EXTENSION,
            "mark": self.new.origin.mark.text(),
            "snapshot": self.new.origin.snapshot,
        });
        let ask = self.ask(&[&id.0, "extensions", EXTENSION]);
        self.graph.change(&ask, Method::PATCH, Some(serialized(&mark))).await?;
        Ok(lost)
    }

    /// What in this list carries a mark and is not to be replaced. A restore gives a task its title.
    async fn find(
        &self,
        plan: &Plan<'_>,
        carries: Carries<'_>,
    ) -> Result<Vec<ItemId>, ExchangeError> {
        let of_title = |told: &Value| told["title"] == plan.fields["title"];
        let found = task_marks::marked(self.graph, self.mailbox, &self.list.id, of_title).await?;
        let found = found.into_iter().filter(|one| carries.holds(&one.mark));
        let found = found.map(|one| one.id);
        Ok(found.filter(|id| !self.new.replaces.contains(id)).collect())
    }

    fn ask(&self, below: &[&str]) -> Ask<'_> {
        let path = [&["lists", self.list.id.0.as_str(), "tasks"], below].concat();
        let ask = tasks::ask(self.graph, self.mailbox, "restoring a task", &path, &[]);
        Ask { right: TASKS, ..ask }
    }
}

/// Deletes a task of a list.
pub(super) async fn remove(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    list: &str,
    id: &ItemId,
) -> Result<(), ExchangeError> {
    let path = ["lists", list, "tasks", &id.0];
    let ask = tasks::ask(graph, mailbox, "deleting a task", &path, &[]);
    match graph.change(&Ask { right: TASKS, ..ask }, Method::DELETE, None).await {
        Err(error) if !is_foreign_id(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Deletes a task, wherever it is.
pub(super) async fn delete(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    id: &ItemId,
) -> Result<(), ExchangeError> {
    match tasks::find(graph, mailbox, id).await? {
        Some(task) => remove(graph, mailbox, &task.folder.0, id).await,
        None => Ok(()),
    }
}

/// Makes a list, or finds the one of this name: To Do would make another one.
pub(super) async fn create_list(
    graph: &GraphProvider,
    mailbox: &Mailbox,
    name: &str,
) -> Result<Folder, ExchangeError> {
    let mut patience = Patience::default();
    let ask = tasks::ask(graph, mailbox, "making a task list", &["lists"], &[]);
    let ask = Ask { right: TASKS, ..ask };
    loop {
        if let Some(there) = tasks::list_of_name(graph, mailbox, name).await? {
            return Ok(there);
        }
        let body = serialized(&json!({ "displayName": name }));
        let error = match graph.post(&ask, body).await? {
            // It is found by its name.
            Posted::Done(_) => ExchangeError::protocol(&ask.action, "it was made and is not there"),
            Posted::Unknown(error) => error,
        };
        let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(error) };
        if let Some(there) = tasks::list_of_name(graph, mailbox, name).await? {
            return Ok(there);
        }
        graph.counters().add_retried();
        tokio::time::sleep(wait).await;
    }
}

fn plan<'a>(task: &Task, attachments: &'a [Attachment]) -> Plan<'a> {
    let mut lost = Vec::new();
    let mut links: Vec<Value> = task
        .links
        .iter()
        .map(|link| {
            let mut told = Map::new();
            let texts = [
                ("applicationName", &link.application),
                ("displayName", &link.name),
                ("externalId", &link.external_id),
                ("webUrl", &link.url),
            ];
            for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
                told.insert(name.into(), json!(text));
            }
            Value::Object(told)
        })
        .collect();
    let mut fields = fields(task, &mut lost);
    if !links.is_empty() {
        // "Only one item in linkedResources is allowed."
        fields.insert("linkedResources".into(), json!([links.remove(0)]));
    }
    let steps = task.steps.iter().map(|step| {
        let mut told = json!({ "displayName": step.title, "isChecked": step.done });
        let mut time = |name: &str, time: Option<OffsetDateTime>| {
            if let Some(text) = time.and_then(|time| time.format(&Rfc3339).ok()) {
                told[name] = json!(text);
            }
        };
        time("createdDateTime", step.created);
        time("checkedDateTime", step.completed.filter(|_| step.done));
        told
    });
    let mut files = Vec::new();
    for file in attachments {
        if file.bytes.len() > LONGEST_FILE {
            lost.push(format!(
                "the attachment {:?}: an application can attach no more than 3 MB to a task",
                file.info.name
            ));
        } else {
            files.push(file);
        }
    }
    Plan { fields, steps: steps.collect(), links, files, lost }
}

fn fields(task: &Task, lost: &mut Vec<String>) -> Map<String, Value> {
    let (kind, content) = match &task.body {
        Body::Text(text) => ("text", text),
        Body::Html(html) => ("html", html),
    };
    let title = if task.title.is_empty() { NO_TITLE } else { &task.title };
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.into(), value);
    set("title", json!(title));
    set("body", json!({ "contentType": kind, "content": content }));
    set("status", json!(status(task.status)));
    set("importance", json!(importance(task.importance)));
    set("categories", json!(task.categories));
    set("isReminderOn", json!(task.reminder_on));
    let is_done = task.status == TaskStatus::Completed;
    let times = [
        ("startDateTime", &task.start),
        ("dueDateTime", &task.due),
        ("reminderDateTime", &task.reminder),
        ("completedDateTime", if is_done { &task.completed } else { &None }),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            set(name, zoned(time));
        }
    }
    match (&task.recurrence, &task.due) {
        (Some(recurrence), Some(_)) => {
            set("recurrence", repeated_from(recurrence, recurrence.first, &recurrence.zone));
        }
        // Graph refuses one that is never due.
        (Some(_), None) => lost.push("that it repeats: it is never due".into()),
        (None, _) => {}
    }
    fields
}

fn zoned(time: &ZonedTime) -> Value {
    json!({ "dateTime": local_text(time.local), "timeZone": time.zone })
}

fn attached(file: &Attachment) -> Value {
    let or = |text: &str, default: &str| {
        if text.is_empty() { default.to_owned() } else { text.to_owned() }
    };
    json!({
        "@odata.type": "#microsoft.graph.taskFileAttachment",
        "name": or(&file.info.name, "attachment"),
        "contentType": or(&file.info.content_type, "application/octet-stream"),
        "contentBytes": BASE64.encode(&file.bytes),
    })
}

fn status(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::NotStarted => "notStarted",
        TaskStatus::InProgress => "inProgress",
        TaskStatus::Completed => "completed",
        TaskStatus::WaitingOnOthers => "waitingOnOthers",
        TaskStatus::Deferred => "deferred",
    }
}

fn importance(importance: Importance) -> &'static str {
    match importance {
        Importance::Low => "low",
        Importance::Normal => "normal",
        Importance::High => "high",
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_model::{AttachmentInfo, Pattern, Recurrence, TaskLink, TaskStep, Until};
    use time::macros::{date, datetime};

    use super::*;

    fn task() -> Task {
        Task {
            title: "Shop".into(),
            body: Body::Html("<p>x</p>".into()),
            status: TaskStatus::Completed,
            due: Some(ZonedTime { local: datetime!(2026-08-25 4:00), zone: "UTC".into() }),
            completed: Some(ZonedTime { local: datetime!(2026-08-24 0:00), zone: "UTC".into() }),
            recurrence: Some(Recurrence {
                pattern: Pattern::Daily { interval: 2 },
                first: date!(2026 - 08 - 25),
                until: Until::Count(3),
                zone: "UTC".into(),
            }),
            steps: vec![TaskStep { title: "Milk".into(), done: true, ..TaskStep::default() }],
            links: vec![
                TaskLink { name: "One".into(), ..TaskLink::default() },
                TaskLink { name: "Two".into(), ..TaskLink::default() },
            ],
            ..Task::default()
        }
    }

    #[test]
    fn a_task_keeps_what_it_has_and_only_one_link_goes_into_the_first_request() {
        let plan = plan(&task(), &[]);
        let fields = Value::Object(plan.fields);
        assert_eq!(fields["dueDateTime"]["dateTime"], "2026-08-25T04:00:00");
        assert_eq!(fields["completedDateTime"]["dateTime"], "2026-08-24T00:00:00");
        assert_eq!(fields["recurrence"]["pattern"]["interval"], 2);
        assert_eq!(fields["recurrence"]["range"]["numberOfOccurrences"], 3);
        assert_eq!(fields["linkedResources"].as_array().unwrap().len(), 1);
        assert_eq!((plan.links.len(), plan.steps[0]["isChecked"].as_bool()), (1, Some(true)));
        assert!(plan.lost.is_empty(), "{:?}", plan.lost);
    }

    #[test]
    fn what_to_do_does_not_take_is_said() {
        let mut never_due = task();
        (never_due.due, never_due.title) = (None, String::new());
        let info = AttachmentInfo { name: "film.mp4".into(), ..AttachmentInfo::default() };
        let large = [Attachment { info, bytes: vec![0; LONGEST_FILE + 1] }];
        let plan = plan(&never_due, &large);
        assert_eq!((plan.files.len(), plan.lost.len()), (0, 2));
        assert!(plan.lost.iter().any(|lost| lost.contains("film.mp4")));
        assert_eq!(plan.fields["title"], NO_TITLE);
        assert!(!plan.fields.contains_key("recurrence"));
    }
}
