//! Made-up tasks: all states, with and without days, steps, links and attachments.

use mailkeep_model::{
    Attachment, AttachmentInfo, Body, Importance, ItemId, Pattern, Recurrence, Task, TaskLink,
    TaskStatus, TaskStep, Until, Weekday, ZonedTime,
};
use serde_json::{Value, json};
use time::{Duration, PrimitiveDateTime, macros::datetime};

use crate::{
    contacts::line,
    events::{bytes, latin1, shown},
};

pub(crate) struct Case {
    pub(crate) id: ItemId,
    pub(crate) task: Task,
    pub(crate) attachments: Vec<Attachment>,
}

impl Case {
    /// What the script compares with.
    pub(crate) fn expected(&self) -> Value {
        let attachments: Vec<_> = self.attachments.iter().map(|a| latin1(&a.bytes)).collect();
        let at = |time: &Option<ZonedTime>, day| time.as_ref().map(|time| shown(time.local, day));
        json!({
            "task": self.task,
            "attachments": attachments,
            "start": at(&self.task.start, true),
            "due": at(&self.task.due, true),
            "completed": at(&self.task.completed, false),
            "reminder": at(&self.task.reminder, false),
        })
    }
}

pub(crate) fn case(n: usize) -> Case {
    let text = |shift: usize| line(n + shift);
    let day = |days: usize| datetime!(2026-11-02 00:00) + Duration::days((n + days) as i64);
    let utc = |local: PrimitiveDateTime| ZonedTime { local, zone: "UTC".to_owned() };
    let some = |every: usize, at: PrimitiveDateTime| n.is_multiple_of(every).then(|| utc(at));
    let statuses = [
        TaskStatus::NotStarted,
        TaskStatus::InProgress,
        TaskStatus::Completed,
        TaskStatus::WaitingOnOthers,
        TaskStatus::Deferred,
    ];
    let attachments: Vec<_> = (0..n % 3)
        .map(|at| Attachment {
            info: AttachmentInfo {
                name: format!("{at} {}", text(at)),
                content_type: "application/octet-stream".to_owned(),
                ..AttachmentInfo::default()
            },
            bytes: bytes(n + at),
        })
        .collect();
    let created = datetime!(2026-10-01 08:30 UTC) + Duration::minutes(n as i64);
    let task = Task {
        title: text(0),
        body: Body::Text(text(1)),
        status: statuses[n % statuses.len()],
        importance: [Importance::Low, Importance::Normal, Importance::High][n % 3],
        start: some(2, day(0)),
        due: some(3, day(4)),
        completed: some(5, day(2)),
        reminder: some(4, day(3) + Duration::hours(8)),
        reminder_on: n.is_multiple_of(8),
        recurrence: n.is_multiple_of(6).then(|| Recurrence {
            pattern: Pattern::Weekly {
                interval: 1,
                days: vec![Weekday::Friday],
                first_day: Weekday::Sunday,
            },
            first: day(4).date(),
            until: if n.is_multiple_of(12) { Until::Never } else { Until::Count(5) },
            zone: "UTC".into(),
        }),
        categories: (0..n % 4).map(|at| format!("Category {at}, blue")).collect(),
        steps: (0..n % 5)
            .map(|at| TaskStep {
                title: format!("Step {at}; {}", text(at)),
                done: at % 2 == 0,
                ..TaskStep::default()
            })
            .collect(),
        links: (0..n % 2)
            .map(|at| TaskLink {
                application: "Wiki".into(),
                name: text(at),
                external_id: at.to_string(),
                url: format!("https://wiki.example/{n}/{at}?a=b;c"),
            })
            .collect(),
        attachments: attachments.iter().map(|one| one.info.clone()).collect(),
        created: Some(created),
        modified: Some(created + Duration::days(3)),
    };
    Case { id: ItemId(format!("task {n}")), task, attachments }
}
