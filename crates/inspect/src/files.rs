use crate::{Limits, message::view_message};

/// A file of a message: an attachment, or what was unpacked from one. For scanners that look at
/// bytes (ClamAV, rules): what they answer comes back as a [`KnownFile`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttachedFile {
    /// `attachment[0]/inner.zip/report.docm`, as in findings.
    pub path: String,
    /// The path of the file that it was unpacked from.
    pub parent: Option<String>,
    /// What it calls itself; may be empty.
    pub name: String,
    /// The media type that the message declares, in lower case; empty for what was unpacked.
    pub declared: String,
    /// What its bytes say that it is, for people: `a ZIP archive`.
    pub kind: &'static str,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// The content, transfer encoding and compression undone.
    pub bytes: Vec<u8>,
}

/// All files of a message, each before those that were unpacked from it.
pub fn attached_files(message: &[u8], limits: &Limits) -> Vec<AttachedFile> {
    let view = view_message(message, message.len() as u64, limits);
    let paths: Vec<String> = view.objects.iter().map(|object| object.path.clone()).collect();
    let files = view.objects.into_iter().map(|object| AttachedFile {
        path: object.path,
        parent: object.parent.and_then(|parent| paths.get(parent).cloned()),
        name: object.name,
        declared: object.declared,
        kind: object.kind.describe(),
        sha256: object.sha256,
        bytes: object.bytes,
    });
    files.collect()
}

/// What somebody else knows of a file: a virus scanner's answer, an entry of a list of hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// What it is, and who says so: `Win.Test.EICAR_HDB-1 (ClamAV)`.
    pub name: String,
}
