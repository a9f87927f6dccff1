//! One rule: what it is made of, which requests it fits and what it adds to their fate.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{BadBody, Effect, PageFault, PageKind, Refused, Scope, Subject, When};
use crate::ids;
use crate::operation::Operation;
use crate::seed::Rng;

/// Longest delay that a rule may ask for.
const LONGEST_DELAY_MS: u64 = 600_000;
/// Operations whose answers are pages that `page` can falsify.
const PAGED: &[Operation] = &[
    Operation::MessagesDelta,
    Operation::FoldersDelta,
    Operation::MessagesList,
    Operation::EventsList,
    Operation::EventInstances,
    Operation::CalendarView,
    Operation::CalendarViewDelta,
    Operation::CalendarsList,
    Operation::ContactsList,
    Operation::ContactsDelta,
    Operation::ContactFoldersList,
    Operation::ContactFoldersDelta,
    Operation::TaskListsList,
    Operation::TaskListsDelta,
    Operation::TasksList,
    Operation::TasksDelta,
    Operation::ExchangeFolders,
    Operation::ExchangeFoldersDelta,
    Operation::ExchangeItems,
    Operation::ExchangeItemsDelta,
];

/// One rule; its fields are described in the module above.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<Operation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mailbox: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<serde_json::Value>,
    #[serde(default)]
    reset: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<When>,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invalidate: Option<Invalidate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<PageKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<BadBody>,
    #[serde(default = "three_tenths")]
    share: f64,
    #[serde(default = "always")]
    pub(super) probability: f64,
    #[serde(default)]
    pub(super) pass: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) times: Option<u64>,
    #[serde(default)]
    pub(super) seed: u64,
    /// How often it has hit; a new rule begins anew.
    #[serde(default)]
    pub(super) hits: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Invalidate {
    Tokens,
    Cursors,
}

fn always() -> f64 {
    1.0
}

fn three_tenths() -> f64 {
    0.3
}

impl Rule {
    /// Why the rule cannot work, if it cannot.
    pub(super) fn check(&self) -> Result<(), String> {
        let fraction = |value: f64| (0.0..=1.0).contains(&value);
        if !fraction(self.probability) || !fraction(self.share) {
            return Err("probability and share must be between 0 and 1".to_owned());
        }
        if self.delay_ms > LONGEST_DELAY_MS {
            return Err(format!("delay_ms may be {LONGEST_DELAY_MS} at most"));
        }
        if self.bytes_per_second == Some(0) {
            return Err("bytes_per_second must be at least 1".to_owned());
        }
        if self.status.is_some_and(|status| !(400..=599).contains(&status)) {
            return Err("status must be between 400 and 599".to_owned());
        }
        if self.page.is_some() && self.operation.is_some_and(|o| !PAGED.contains(&o)) {
            return Err("the operation has no pages that 'page' could change".to_owned());
        }
        let idle = self.refusal().is_none()
            && !self.reset
            && self.delay_ms == 0
            && self.bytes_per_second.is_none()
            && self.page.is_none()
            && self.answer.is_none()
            && self.body.is_none();
        if idle {
            return Err("the rule does nothing: give status, code, reset, delay_ms, \
                        bytes_per_second, invalidate, page, answer or body"
                .to_owned());
        }
        if self.when.is_some() && self.refusal().is_none() && !self.reset {
            return Err("when goes with status, code or reset".to_owned());
        }
        Ok(())
    }

    /// The rule as it was before it hit: what was shown may be given back.
    pub(super) fn fresh(self) -> Self {
        Self { hits: 0, ..self }
    }

    /// The refusal that the rule orders, if it orders one.
    pub(super) fn refusal(&self) -> Option<Refused> {
        let status = match (self.status, &self.code, self.invalidate) {
            (Some(status), _, _) => status,
            (None, _, Some(Invalidate::Tokens)) => 401,
            (None, _, Some(Invalidate::Cursors)) => 410,
            (None, Some(_), None) => 500,
            (None, None, None) => return None,
        };
        Some(Refused {
            status,
            code: self.code.clone(),
            retry_after: self.retry_after,
            when: self.when.unwrap_or(When::Before),
        })
    }

    /// Everything but the refusal.
    pub(super) fn add_to(&self, effect: &mut Effect, subject: &Subject<'_>, rng: &mut Rng) {
        effect.delay_ms += self.delay_ms;
        effect.bytes_per_second = match (effect.bytes_per_second, self.bytes_per_second) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if self.reset {
            let when = self.when.unwrap_or(When::After);
            effect.reset =
                Some(if effect.reset == Some(When::Before) { When::Before } else { when });
        }
        if let Some(answer) = &self.answer {
            effect.answer = Some(answer.to_string());
        }
        if let Some(kind) = self.page {
            effect.pages.push(PageFault { kind, share: self.share, seed: rng.next() });
        }
        effect.body = effect.body.or(self.body);
        match self.invalidate {
            Some(Invalidate::Tokens) => effect.revokes_tokens = true,
            Some(Invalidate::Cursors) => effect.expires.push(Scope {
                mailbox: subject
                    .mailbox_id
                    .filter(|_| self.mailbox.is_some() || self.folder.is_some()),
                folder: subject.folder_number.filter(|_| self.folder.is_some()),
            }),
            None => {}
        }
    }

    /// Whether the rule is about this request.
    pub(super) fn fits(&self, subject: &Subject<'_>) -> bool {
        let mailbox = self.mailbox.as_deref().is_none_or(|wanted| {
            subject.mailbox.is_some_and(|address| address.eq_ignore_ascii_case(wanted))
                || subject.mailbox_id.is_some_and(|id| Uuid::try_parse(wanted) == Ok(id))
        });
        let folder = self.folder.as_deref().is_none_or(|wanted| {
            let number = || ids::parse_folder_id(subject.mailbox_id?, wanted);
            subject.folder == Some(wanted)
                || subject.folder_role.is_some_and(|role| role.eq_ignore_ascii_case(wanted))
                || (subject.folder_number.is_some() && subject.folder_number == number())
        });
        // Either kind of id names the item, in the rule and in the request.
        let item = self.item.as_deref().is_none_or(|wanted| {
            let number = |id| Some(ids::parse_item_id(subject.mailbox_id?, id)?.item());
            subject.item == Some(wanted)
                || (subject.item_number.is_some() && subject.item_number == number(wanted))
        });
        let needs_token = self.status == Some(410) || self.invalidate == Some(Invalidate::Cursors);
        self.operation.is_none_or(|operation| operation == subject.operation)
            && mailbox
            && folder
            && item
            && (!needs_token || subject.has_token)
            && (self.page.is_none() || PAGED.contains(&subject.operation))
    }
}
