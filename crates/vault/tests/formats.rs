//! Events, tasks and contacts, read by libraries that other people wrote.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "formats/contacts.rs"]
mod contacts;
#[path = "formats/events.rs"]
mod events;
#[path = "formats/patterns.rs"]
mod patterns;
#[path = "formats/tasks.rs"]
mod tasks;

use std::{fs, path::PathBuf, process::Command};

use mailkeep_model::{Attachment, AttachmentInfo};
use mailkeep_vault::{attachments_in_icalendar, icalendar, photo_in_vcard, todo, vcard};

const COUNT: usize = 200;

/// The interpreter with the libraries, which `cargo xtask test` installs.
fn python() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let python = root.join(target).join("python/bin/python3");
    let import = "import icalendar, recurring_ical_events, vobject";
    let works = Command::new(&python).args(["-c", import]).output();
    works.is_ok_and(|output| output.status.success()).then_some(python)
}

#[test]
fn other_programs_read_events_tasks_and_contacts_as_they_were() {
    let Some(python) = python() else {
        eprintln!(
            "skipped, because icalendar and vobject for Python are not installed (cargo xtask test)"
        );
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for number in 0..COUNT {
        let case = events::case(number);
        let ics = icalendar(&case.event, &case.attachments);
        assert_eq!(ics, icalendar(&case.event, &case.attachments));
        assert_eq!(
            attachments_in_icalendar(&ics, &case.event.attachments).unwrap(),
            case.attachments
        );
        fs::write(dir.path().join(format!("{number}.ics")), ics).unwrap();
        lines.push_str(&format!("{}\n", case.expected()));
    }
    fs::write(dir.path().join("events.jsonl"), lines).unwrap();
    let mut lines = String::new();
    for number in 0..COUNT {
        let tasks::Case { id, task, attachments } = &tasks::case(number);
        let ics = todo(id, task, attachments);
        assert_eq!(attachments_in_icalendar(&ics, &task.attachments).unwrap(), *attachments);
        fs::write(dir.path().join(format!("task {number}.ics")), ics).unwrap();
        lines.push_str(&format!("{}\n", tasks::case(number).expected()));
    }
    fs::write(dir.path().join("tasks.jsonl"), lines).unwrap();
    let mut lines = String::new();
    for number in 0..COUNT {
        let contact = contacts::contact(number);
        let photo = (number % 3 == 0).then(|| Attachment {
            info: AttachmentInfo { content_type: "image/jpeg".into(), ..Default::default() },
            bytes: events::bytes(number),
        });
        let vcf = vcard(&contact, photo.as_ref());
        assert_eq!(photo_in_vcard(&vcf), photo);
        fs::write(dir.path().join(format!("{number}.vcf")), vcf).unwrap();
        let photo = photo.map(|photo| events::latin1(&photo.bytes));
        let line = serde_json::json!({"contact": contact, "photo": photo});
        lines.push_str(&format!("{line}\n"));
    }
    fs::write(dir.path().join("contacts.jsonl"), lines).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/formats/check.py");
    let mut check = Command::new(python);
    // Rules of zones from the pinned package, not from the system, which may know older ones.
    check.env("PYTHONTZPATH", "").arg(script).arg(dir.path());
    let output = check.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    let last: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    for kind in ["events", "tasks", "contacts"] {
        assert_eq!(last[kind], COUNT, "{last}");
    }
    assert!(last["occurrences"].as_u64().unwrap() > 10_000, "{last}");
    assert!(last["zones"].as_u64().unwrap() > 100, "{last}");
    println!("{last}");
}
