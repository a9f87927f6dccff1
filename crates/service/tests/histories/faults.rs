//! What goes wrong while a pass or a restore runs.

use serde_json::{Value, json};

use crate::{mailbox::Mailbox, operations::id, random::Random};

/// What a pass asks.
const READING: [&str; 13] = [
    "messages.delta",
    "messages.delta",
    "message.value",
    "message.value",
    "message.show",
    "folders.delta",
    "calendars.list",
    "events.list",
    "event.show",
    "event.attachments.list",
    "contactfolders.list",
    "contacts.delta",
    "contact.photo",
];
/// What a restore asks.
const WRITING: [&str; 12] = [
    "message.create",
    "message.create",
    "message.patch",
    "message.move",
    "message.delete",
    "messages.list",
    "event.create",
    "event.create",
    "event.patch",
    "event.instances",
    "contact.create",
    "folder.create",
];

/// Some rules, and whether one of them hides changes for good.
pub(crate) fn of_a_pass(random: &mut Random, there: &Mailbox) -> (Vec<Value>, bool) {
    let (mut rules, mut hides) = (Vec::new(), false);
    for _ in 0..1 + random.below(4) {
        let (rule, hiding) = reading(random, there);
        hides |= hiding;
        rules.push(with_chance(random, rule));
    }
    (rules, hides)
}

/// A pass's answers take a moment, so that what people do falls between them.
pub(crate) fn delays(random: &mut Random) -> Vec<Value> {
    const ALL: [&str; 5] =
        ["folders.delta", "messages.delta", "message.value", "events.list", "contacts.delta"];
    let delay = |operation: &str| json!({ "operation": operation, "delay_ms": 5 + random.below(30), "times": 60 });
    ALL.map(delay).into()
}

/// Some rules for a restore.
pub(crate) fn of_a_restore(random: &mut Random) -> Vec<Value> {
    let rule = |random: &mut Random| {
        let operation = random.pick(&WRITING);
        let when = random.pick(&["before", "after"]);
        let rule = match random.below(4) {
            0 => json!({ "operation": operation, "status": 429, "retry_after": 0, "times": 2 }),
            1 => json!({ "operation": operation, "status": 503, "when": when, "times": 2 }),
            2 => json!({ "operation": operation, "status": 500, "when": when, "times": 8 }),
            _ => json!({ "operation": operation, "reset": true, "when": when, "times": 2 }),
        };
        with_chance(random, rule)
    };
    (0..1 + random.below(3)).map(|_| rule(random)).collect()
}

fn reading(random: &mut Random, there: &Mailbox) -> (Value, bool) {
    let operation = random.pick(&READING);
    let times = 1 + random.below(3);
    let rule = match random.below(14) {
        0 => json!({ "operation": operation, "status": 429, "retry_after": 0, "times": times }),
        1 => json!({ "operation": operation, "status": 503, "retry_after": 0, "times": times }),
        2 => json!({ "operation": operation, "status": 503, "times": 1 }),
        3 => json!({ "operation": operation, "reset": true, "times": times }),
        4 => json!({ "operation": operation, "reset": true, "when": "before", "times": times }),
        5 => json!({ "invalidate": "cursors", "times": 1 }),
        6 => json!({ "invalidate": "tokens", "times": 1 }),
        // One that fails until somebody repairs it.
        7 => {
            let items: Vec<_> = there.items().collect();
            let item = random.any(&items).map(|(_, item)| id(item).to_owned());
            let status = random.pick(&[400, 403, 404]);
            json!({ "item": item.unwrap_or_default(), "status": status })
        }
        // And one that fails for longer than a pass is patient.
        8 => json!({ "operation": operation, "status": 500, "times": 8 }),
        9 => {
            let status = random.pick(&[400, 403, 404]);
            // "There is no picture" is an answer; that it is a wrong one cannot be seen.
            let lies = operation == "contact.photo" && status == 404;
            let status = if lies { 403 } else { status };
            json!({ "operation": operation, "status": status, "times": 1 })
        }
        10 => json!({ "page": "repeat", "times": times }),
        11 => json!({ "page": random.pick(&["skip", "stale"]), "times": times }),
        _ => return (json!({ "page": "lose", "times": times }), true),
    };
    (rule, false)
}

fn with_chance(random: &mut Random, mut rule: Value) -> Value {
    rule["seed"] = json!(random.next() >> 1);
    rule["pass"] = json!(random.below(4));
    if random.percent(50) {
        rule["probability"] = json!(0.4);
    }
    rule
}
