use super::{kind::FileKind, technique::Technique};

/// One file of a message: an attachment, or what was unpacked from one.
#[derive(Debug)]
pub(crate) struct Object {
    /// `attachment[0]`, `attachment[0]/inner.zip/report.docm`.
    pub(crate) path: String,
    /// What it calls itself; may be empty.
    pub(crate) name: String,
    /// The media type that the message declares, in lower case; empty for what was unpacked.
    pub(crate) declared: String,
    /// What its bytes say that it is.
    pub(crate) kind: FileKind,
    /// The content, transfer encoding and compression undone.
    pub(crate) bytes: Vec<u8>,
    /// SHA-256 of the content.
    pub(crate) sha256: [u8; 32],
    /// Index of the object that it was unpacked from.
    pub(crate) parent: Option<usize>,
    /// What was seen in it.
    pub(crate) marks: Vec<Mark>,
}

/// Something that was seen in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) technique: Technique,
    /// What a person should see.
    pub(crate) evidence: String,
}
