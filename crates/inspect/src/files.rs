use std::ops::Range;

use mailkeep_model::{Severity, one_line};

use crate::{
    Context, Limits, Report,
    inspect::judge,
    message::{MessageView, view_attachment, view_message},
};

/// A message that was read and is not judged yet. In between, scanners that look at bytes (ClamAV,
/// rules of one's own) have their turn: they are given its [files](Self::files) and
/// [texts](Self::texts), and what they answer goes into the context as [`Scanned`].
#[derive(Debug)]
pub struct OpenMessage(MessageView);

impl OpenMessage {
    /// Reads a message of `whole_size` bytes of which `prefix` is at hand; the verdict names what was
    /// not.
    pub fn read(prefix: &[u8], whole_size: u64, limits: &Limits) -> Self {
        Self(view_message(prefix, whole_size.max(prefix.len() as u64), limits))
    }

    /// Reads a file that is not a message as if it were the only attachment of one; as
    /// [`crate::inspect_attachment`].
    pub fn of_attachment(name: &str, bytes: &[u8], limits: &Limits) -> Self {
        Self(view_attachment(name, bytes, limits))
    }

    /// All files, each before those that were unpacked from it.
    pub fn files(&self) -> impl Iterator<Item = AttachedFile<'_>> {
        let objects = &self.0.objects;
        objects.iter().map(|object| AttachedFile {
            path: &object.path,
            parent: object.parent.and_then(|parent| objects.get(parent)).map(|of| of.path.as_str()),
            name: &object.name,
            declared: &object.declared,
            kind: object.kind.describe(),
            sha256: object.sha256,
            bytes: &object.bytes,
        })
    }

    /// All texts by the name of their field, decoded: headers, bodies, and what text is in files.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.fields.iter().map(|field| (field.name.as_str(), field.source.as_str()))
    }

    /// What is in it, and what it comes to.
    pub fn inspect(self, context: &Context<'_>) -> Report {
        judge(self.0, context)
    }
}

/// A file of a message: an attachment, or what was unpacked from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttachedFile<'m> {
    /// `attachment[0]/inner.zip/report.docm`, as in findings.
    pub path: &'m str,
    /// The path of the file that it was unpacked from.
    pub parent: Option<&'m str>,
    /// What it calls itself; may be empty.
    pub name: &'m str,
    /// The media type that the message declares, in lower case; empty for what was unpacked.
    pub declared: &'m str,
    /// What its bytes say that it is, for people: `a ZIP archive`.
    pub kind: &'static str,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// The content, transfer encoding and compression undone.
    pub bytes: &'m [u8],
}

/// What scanners outside of inspection say of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Files that a virus scanner knows as bad.
    pub known_files: Vec<KnownFile>,
    /// Where rules of the organisation's own apply.
    pub matches: Vec<RuleMatch>,
    /// What was not looked at, and why: it becomes part of the verdict.
    pub not_inspected: Vec<String>,
}

/// What somebody else knows of a file: a virus scanner's answer, an entry of a list of hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// What it is, and who says so: `Win.Test.EICAR_HDB-1 (ClamAV)`.
    pub name: String,
}

/// Characters of a scanner's name for something that are told.
const NAME: usize = 200;

/// What ClamAV's answer to the question of that number in a session says
/// (<https://docs.clamav.net/manual/Usage/Scanning.html#clamd>): `3: stream: Our.Test FOUND` names
/// what a file is, `3: stream: OK` knows nothing of it. Without the number, outside of a session,
/// likewise.
///
/// # Errors
///
/// What it says instead.
pub fn clamav_answer(answer: &str, number: u64) -> Result<Option<String>, &str> {
    let numbered = answer.strip_prefix(number.to_string().as_str());
    let said = numbered.and_then(|rest| rest.strip_prefix(": ")).unwrap_or(answer);
    let said = said.strip_prefix("stream: ").unwrap_or(said).trim();
    match said.strip_suffix(" FOUND") {
        Some(name) => Ok(Some(one_line(name).chars().take(NAME).collect())),
        None if said == "OK" => Ok(None),
        None => Err(said),
    }
}

/// That a rule of the organisation's own applies to a piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMatch {
    /// The rule's name.
    pub rule: String,
    /// How bad that is.
    pub severity: Severity,
    /// A file's path or the name of a text; anything else is the message as a whole.
    pub field: String,
    /// Where in a text, in bytes; `None` for files, and where it is nowhere in particular.
    pub place: Option<Range<usize>>,
    /// What a person should see.
    pub evidence: String,
}
