//! An example, and how values are compared with it.

use std::path::PathBuf;

use serde_json::Value;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// Examples that the documentation got wrong: words in place of values, or values of another type than
/// the schema's, as no service sends them; with what is said of each. That they are refused with
/// a reason, and not half understood, is what they show.
const MISTAKEN: &[(&str, &str)] = &[
    ("calendar-list-events--2--response.http", "no start is told"),
    ("concept-delta-query-messages--9--response.json", "expected a boolean"),
    ("contact-delta--2--response.http", "missing field `id`"),
    ("contactfolder-list-contacts--2--response.http", "missing field `id`"),
    ("event-list-attachments--2--response.http", "invalid"),
    ("user-delta--4--response.http", "missing field `id`"),
    ("user-delta--6--response.http", "missing field `id`"),
    ("user-get--6--response.http", "missing field `id`"),
    ("mailfolder-post-messages--2--response.http", "missing field `id`"),
    ("user-list-contacts--2--response.http", "missing field `id`"),
];

/// One example of an answer whose JSON can be read.
pub(crate) struct Example {
    pub(crate) file: String,
    pub(crate) json: Value,
}

/// All examples on some pages of the documentation (`message-get`); `None`, with a word on why, where
/// the reference data is not here.
pub(crate) fn examples(pages: &[&str]) -> Option<Vec<Example>> {
    let given = std::env::var_os("MAILKEEP_SHARED_DATA").map(PathBuf::from);
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let directory = given.unwrap_or_else(default).join("graph/examples");
    let Ok(index) = std::fs::read_to_string(directory.join("index.tsv")) else {
        eprintln!("skipped, because the examples of Graph's documentation are absent");
        return None;
    };
    let mut found = Vec::new();
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [file, page, _, _, "response", _, "yes", ..] = columns[..] else { continue };
        let page = page.rsplit('/').next().unwrap().trim_end_matches(".md");
        if pages.contains(&page) && !file.starts_with("beta-") {
            let text = std::fs::read_to_string(directory.join(file)).unwrap();
            // What is refused is no such answer.
            if text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 5") {
                continue;
            }
            // Behind a status and headers.
            let json = &text[text.find('{').unwrap()..];
            let json = serde_json::from_str(json).unwrap_or_else(|e| panic!("{file}: {e}"));
            found.push(Example { file: file.to_owned(), json });
        }
    }
    assert!(!found.is_empty(), "there are examples on {pages:?}");
    Some(found)
}

impl Example {
    /// What is said of it, when the documentation got it wrong.
    pub(crate) fn mistake(&self) -> Option<&'static str> {
        MISTAKEN.iter().find(|(file, _)| *file == self.file).map(|(_, said)| *said)
    }

    /// Ends the test unless what became of a mistaken example is that it was refused for its mistake.
    pub(crate) fn is_refused(&self, for_what: &str, said: impl std::fmt::Display) {
        let said = said.to_string();
        assert!(said.contains(for_what), "{}: {said}", self.file);
        self.was_read();
    }

    /// The elements of a list, or the one thing that it is.
    pub(crate) fn each(&self) -> Vec<&Value> {
        match self.json.get("value") {
            Some(Value::Array(list)) => list.iter().collect(),
            _ => vec![&self.json],
        }
    }

    /// The same as a page of a delta query that ends it.
    pub(crate) fn as_last_page(&self) -> Vec<u8> {
        let value: Vec<&Value> = self.each();
        let link = "https://graph.example/v1.0/next";
        serde_json::json!({ "value": value, "@odata.deltaLink": link }).to_string().into_bytes()
    }

    /// Notes for `cargo xtask test` that it was read and compared.
    pub(crate) fn was_read(&self) {
        let Some(directory) = std::env::var_os("MAILKEEP_EXAMPLES_READ").map(PathBuf::from) else {
            return;
        };
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(&self.file), "").unwrap();
    }
}

/// Values that were read beside the thing in the example that they were read from.
pub(crate) struct Compared<'a> {
    told: &'a Value,
    file: &'a str,
    count: usize,
}

impl<'a> Compared<'a> {
    pub(crate) fn with(example: &'a Example, told: &'a Value) -> Self {
        Self { told, file: &example.file, count: 0 }
    }

    fn told(&mut self, pointer: &str) -> Option<&'a Value> {
        let told = self.told.pointer(pointer).filter(|value| !value.is_null())?;
        self.count += 1;
        Some(told)
    }

    /// Where the example has a value, ours is the same.
    pub(crate) fn same(&mut self, pointer: &str, ours: impl Into<Value>) {
        if let Some(told) = self.told(pointer) {
            assert_eq!(ours.into(), *told, "{}: {pointer}", self.file);
        }
    }

    /// The same for times, which can be written in several ways.
    pub(crate) fn instant(&mut self, pointer: &str, ours: Option<OffsetDateTime>) {
        if let Some(told) = self.told(pointer) {
            let told = OffsetDateTime::parse(told.as_str().unwrap(), &Rfc3339).unwrap();
            assert_eq!(ours, Some(told.to_offset(UtcOffset::UTC)), "{}: {pointer}", self.file);
        }
    }

    /// The same for something that is read out of every element of a list.
    pub(crate) fn each(&mut self, pointer: &str, inside: &str, ours: &[&str]) {
        if let Some(told) = self.told(pointer) {
            let texts = told.as_array().unwrap().iter();
            let texts = texts.filter_map(|one| one.pointer(inside)?.as_str());
            assert_eq!(ours, texts.collect::<Vec<_>>(), "{}: {pointer}/…{inside}", self.file);
        }
    }

    /// How many values there were; none at all would show nothing.
    pub(crate) fn done(self) -> usize {
        assert!(self.count > 0, "{}: nothing was compared", self.file);
        self.count
    }
}
