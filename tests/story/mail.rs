//! Mail that a story makes: ordinary, and as odd as real mail is.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A tree of mbox files, `PERSON/FOLDER.mbox`; a dot in a name separates sub-folders.
pub(crate) struct MailTree {
    root: PathBuf,
    /// Messages by person.
    messages: BTreeMap<String, u64>,
}

impl MailTree {
    /// An empty tree below `root`.
    #[track_caller]
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), messages: BTreeMap::new() }
    }

    /// Two mailboxes with folders, sub-folders and an empty folder, and in them everything that
    /// programs that handle mail are known to trip over.
    #[track_caller]
    pub(crate) fn odd(root: impl Into<PathBuf>) -> Self {
        let mut tree = Self::new(root);
        let odd = odd_messages();
        tree.folder("ann", "inbox", &odd);
        tree.folder("ann", "inbox.Projects.Spring fair", &ordinary("spring", 40));
        tree.folder("ann", "Kunden & Lieferanten", &ordinary("kunden", 3));
        tree.folder("ann", "Empty", &[]);
        tree.folder("ann", "sent items", &ordinary("sent", 25));
        // The same messages again: other people hold copies, and each is backed up as its own.
        tree.folder("bo", "inbox", &odd);
        tree.folder("bo", "Überstunden 100%", &ordinary("hours", 2));
        tree
    }

    /// Many small messages in the folders of a few people.
    #[track_caller]
    pub(crate) fn plain(root: impl Into<PathBuf>, people: &[&str], messages: usize) -> Self {
        let mut tree = Self::new(root);
        for person in people {
            for folder in ["inbox", "archive", "inbox.Orders", "sent items"] {
                tree.folder(person, folder, &ordinary(&format!("{person} {folder}"), messages / 4));
            }
        }
        tree
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Messages in all mbox files.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.values().sum()
    }

    /// Messages of one person.
    pub(crate) fn messages_of(&self, person: &str) -> u64 {
        self.messages.get(person).copied().unwrap_or_default()
    }

    /// Adds a folder of a person.
    #[track_caller]
    pub(crate) fn folder(&mut self, person: &str, folder: &str, messages: &[Vec<u8>]) {
        let mut mbox = Vec::new();
        for message in messages {
            mbox.extend_from_slice(b"From MAILER-DAEMON Mon Apr 18 14:23:23 2022\n");
            mbox.extend_from_slice(message);
            mbox.extend_from_slice(if message.ends_with(b"\n") { b"\n" } else { b"\n\n" });
        }
        let directory = self.root.join(person);
        let file = directory.join(format!("{folder}.mbox"));
        fs::create_dir_all(&directory)
            .and_then(|()| fs::write(&file, mbox))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        *self.messages.entry(person.to_owned()).or_default() += messages.len() as u64;
    }
}

/// `count` messages that a person might write, spread over months.
fn ordinary(about: &str, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| {
            let (month, day) = (number % 12 + 1, number % 28 + 1);
            let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
                [month - 1];
            let body = format!("Number {number} about {about}.\n").repeat(number % 50 + 1);
            let key: String =
                about.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            format!(
                "Message-ID: <{number}.{key}@story.example>\nDate: {day} {name} 2026 09:{:02}:00 +0000\n\
                 From: Orla Byrne <orla@outside.example>\nTo: ann@story.example\n\
                 Subject: {about}, number {number}\n\n{body}",
                number % 60
            )
            .into_bytes()
        })
        .collect()
}

/// Messages as they occur, and as they should not.
fn odd_messages() -> Vec<Vec<u8>> {
    let head = "Date: Tue, 3 Nov 2026 09:14:00 +0000\nFrom: a@story.example\nTo: b@story.example\n";
    let with = |subject: &str, rest: &str| format!("{head}Subject: {subject}\n{rest}").into_bytes();
    let mut latin1 = with("caf", "\n");
    latin1.extend_from_slice(b"caf\xe9, not UTF-8\n");
    let mut nul = with("a zero byte", "\nzero:");
    nul.extend_from_slice(b"\0\x01\x02\x7f\xff\xfe\n");
    let attachment = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\n".repeat(4000);
    vec![
        with("plain", "\nHello.\n"),
        // Twice the same, byte for byte: both were delivered.
        with("twice", "Message-ID: <twice@story.example>\n\nThe same.\n"),
        with("twice", "Message-ID: <twice@story.example>\n\nThe same.\n"),
        with("no body", ""),
        with("empty body", "\n"),
        with("no line end at the end", "\nlast words"),
        with("empty lines at the end", "\ntext\n\n\n\n"),
        with("quoted as mbox does it", "\n>From here on\n>>From there\n From indented\n"),
        with("a very long line", &format!("\n{}\n", "x".repeat(200_000))),
        with("long references", &format!("References: {}\n\nx\n", "<a@b>\n ".repeat(3000))),
        with("=?utf-8?q?=C3=9Cberraschung?= / \\ : * ? \" < > |", "\nname of a file\n"),
        with("../../etc/passwd", "\nwhere would this be restored to?\n"),
        with("CON", "\nreserved on Windows\n"),
        with("", "\nno subject\n"),
        with(&"long ".repeat(200), "\nlonger than a file name may be\n"),
        with("carriage returns", "\nalone \r in a line\nand CRLF\r\n\r\nin the file\r\n"),
        with("8 bit", "Content-Type: text/plain; charset=utf-8\n\nGrüße aus Zürich ✉\n"),
        with("right to left \u{202e}txt.exe", "\nx\n"),
        with(
            "attachment",
            &format!(
                "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\n\
                 Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\
                 Content-Disposition: attachment; filename=\"data.bin\"\n\n{attachment}--b--\n"
            ),
        ),
        with("broken MIME", "Content-Type: multipart/mixed; boundary=nowhere\n\n--elsewhere\nx\n"),
        b"no header at all\n".to_vec(),
        b"\nbody without a header\n".to_vec(),
        b"Subject: date from another world\nDate: Thu, 99 Foo 99999 99:99:99 +9999\n\nx\n".to_vec(),
        b"Subject: before the epoch\nDate: Mon, 1 Jan 1901 00:00:00 +0000\n\nx\n".to_vec(),
        latin1,
        nul,
    ]
}
