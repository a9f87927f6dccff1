//! ZIP archives (PKWARE's APPNOTE), read as leniently as the programs that open them: the central
//! directory where there is one, else every local header that can be found.

use std::borrow::Cow;

use super::{
    Source,
    bytes::{place_le, slice, u16_le, u32_le, u64_le},
    contents::Contents,
    inflate::Wrapping,
    names, office, opendocument,
    technique::Technique,
    zip_crypt,
};

/// Entries that are listed; a larger archive is listed in part.
const ENTRIES: usize = 20_000;

/// One file of an archive, still packed.
#[derive(Clone, Debug)]
pub(super) struct Entry<'z> {
    pub(super) name: String,
    flags: u16,
    method: u16,
    crc: u32,
    time: u16,
    packed: &'z [u8],
    /// Bytes of the content as the archive has it; it may lie.
    size: u64,
    extra: &'z [u8],
}

impl Entry<'_> {
    pub(super) fn is_encrypted(&self) -> bool {
        self.flags & 1 != 0
    }

    pub(super) fn is_folder(&self) -> bool {
        self.name.ends_with('/')
    }
}

/// The archive's files.
pub(super) fn entries(bytes: &[u8]) -> Vec<Entry<'_>> {
    let listed = central(bytes).unwrap_or_default();
    if listed.is_empty() { scan(bytes) } else { listed }
}

/// The files that the central directory names.
fn central(bytes: &[u8]) -> Option<Vec<Entry<'_>>> {
    // The end record is followed by a comment of at most 65,535 bytes.
    let tail = bytes.len().saturating_sub(22 + 0xFFFF);
    let end = tail + memchr::memmem::rfind(bytes.get(tail..)?, b"PK\x05\x06")?;
    let mut size = u64::from(u32_le(bytes, end + 12)?);
    let mut offset = u64::from(u32_le(bytes, end + 16)?);
    let mut directory_end = end;
    if (size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF)
        && let Some(locator) = end.checked_sub(20)
        && slice(bytes, locator, 4) == Some(b"PK\x06\x07")
        && let Some(record) = memchr::memmem::rfind(&bytes[..locator], b"PK\x06\x06")
    {
        size = u64_le(bytes, record + 40)?;
        offset = u64_le(bytes, record + 48)?;
        directory_end = record;
    }
    // What stands in front of the archive (a program that unpacks it, a picture) shifts it.
    let start = directory_end.checked_sub(usize::try_from(size).ok()?)?;
    let shift = start.checked_sub(usize::try_from(offset).ok()?)?;
    let mut found = Vec::new();
    let mut at = start;
    while slice(bytes, at, 4) == Some(b"PK\x01\x02") && found.len() < ENTRIES {
        let name_len = usize::from(u16_le(bytes, at + 28)?);
        let extra_len = usize::from(u16_le(bytes, at + 30)?);
        let comment_len = usize::from(u16_le(bytes, at + 32)?);
        let extra = slice(bytes, at + 46 + name_len, extra_len).unwrap_or_default();
        let (mut packed_len, mut size, mut local) = (
            u64::from(u32_le(bytes, at + 20)?),
            u64::from(u32_le(bytes, at + 24)?),
            u64::from(u32_le(bytes, at + 42)?),
        );
        wide(extra, [&mut size, &mut packed_len, &mut local]);
        let packed = usize::try_from(local)
            .ok()
            .and_then(|local| data(bytes, local.checked_add(shift)?, packed_len));
        if let Some(packed) = packed {
            found.push(Entry {
                name: name_of(slice(bytes, at + 46, name_len)?),
                flags: u16_le(bytes, at + 8)?,
                method: u16_le(bytes, at + 10)?,
                time: u16_le(bytes, at + 12)?,
                crc: u32_le(bytes, at + 16)?,
                packed,
                size,
                extra,
            });
        }
        at += 46 + name_len + extra_len + comment_len;
    }
    Some(found)
}

/// Sizes of ZIP64 (APPNOTE 4.5.3): only those that did not fit are there, in this order.
fn wide(extra: &[u8], values: [&mut u64; 3]) {
    let Some(field) = extra_field(extra, 1) else { return };
    let mut at = 0;
    for value in values {
        if *value == 0xFFFF_FFFF {
            let Some(wide) = u64_le(field, at) else { return };
            *value = wide;
            at += 8;
        }
    }
}

/// The content of the extra field with this number.
fn extra_field(extra: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let id = u16_le(extra, at)?;
        let len = usize::from(u16_le(extra, at + 2)?);
        if id == wanted {
            return slice(extra, at + 4, len);
        }
        at += 4 + len;
    }
}

/// The packed bytes behind a local header; cut off where the file is.
fn data(bytes: &[u8], local: usize, len: u64) -> Option<&[u8]> {
    if slice(bytes, local, 4)? != b"PK\x03\x04" {
        return None;
    }
    let start = local
        + 30
        + usize::from(u16_le(bytes, local + 26)?)
        + usize::from(u16_le(bytes, local + 28)?);
    let rest = bytes.get(start..)?;
    Some(&rest[..rest.len().min(usize::try_from(len).unwrap_or(usize::MAX))])
}

/// The files of an archive without a directory: cut off, or made so.
fn scan(bytes: &[u8]) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    for at in memchr::memmem::find_iter(bytes, b"PK\x03\x04").take(ENTRIES) {
        found.extend(local(bytes, at));
    }
    found
}

fn local(bytes: &[u8], at: usize) -> Option<Entry<'_>> {
    let name_len = usize::from(u16_le(bytes, at + 26)?);
    let extra_len = usize::from(u16_le(bytes, at + 28)?);
    let flags = u16_le(bytes, at + 6)?;
    let mut len = place_le(bytes, at + 18)?;
    if flags & 8 != 0 && len == 0 {
        len = usize::MAX; // told behind the data
    }
    let start = at + 30 + name_len + extra_len;
    let rest = bytes.get(start..)?;
    Some(Entry {
        name: name_of(slice(bytes, at + 30, name_len)?),
        flags,
        method: u16_le(bytes, at + 8)?,
        time: u16_le(bytes, at + 10)?,
        crc: u32_le(bytes, at + 14)?,
        packed: &rest[..rest.len().min(len)],
        size: u64::from(u32_le(bytes, at + 22)?),
        extra: slice(bytes, at + 30 + name_len, extra_len)?,
    })
}

fn name_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(name) => name.to_owned(),
        Err(_) => super::bytes::latin1(bytes),
    }
}

/// The content of an entry; `None` when it cannot be had, of which the reason is noted.
pub(super) fn unpack(entry: &Entry<'_>, contents: &mut Contents<'_>) -> Option<Vec<u8>> {
    let (packed, method) = if entry.is_encrypted() {
        decrypt(entry, contents)?
    } else {
        (Cow::Borrowed(entry.packed), entry.method)
    };
    match method {
        0 => {
            let len = packed.len().min(contents.room());
            contents.spend(len);
            contents.judge_size(len, len, len < packed.len());
            Some(packed[..len].to_vec())
        }
        8 => Some(contents.inflate(&packed, Wrapping::Raw).bytes),
        12 => Some(contents.bunzip2(&packed)),
        14 => Some(contents.unlzma_of_zip(&packed, entry.size)),
        method => {
            if method > 100 {
                // No method at all: how Apple's programs write what they encrypt.
                contents.mark(Technique::Encrypted, "the archive is encrypted");
            }
            let name = &entry.name;
            contents.note(format!(
                "'{name}' is packed in a way (ZIP method {method}) that is not inspected"
            ));
            None
        }
    }
}

/// The packed bytes of an encrypted entry and the method that packed them, when a word of the
/// message opens it.
fn decrypt<'e>(entry: &Entry<'e>, contents: &mut Contents<'_>) -> Option<(Cow<'e, [u8]>, u16)> {
    let aes = extra_field(entry.extra, 0x9901);
    // "infected" is how samples are exchanged.
    for password in contents.words(1, &["infected"]) {
        let opened = match (entry.method, aes) {
            (99, Some(aes)) => zip_crypt::aes(entry.packed, aes, password.as_bytes()),
            (99, None) => None,
            _ => {
                let check =
                    if entry.flags & 8 == 0 { entry.crc >> 24 } else { u32::from(entry.time >> 8) };
                zip_crypt::traditional(entry.packed, (check & 0xFF) as u8, password.as_bytes())
                    .filter(|packed| entry.method != 8 || is_deflated(packed, entry.size))
                    .map(|packed| (packed, entry.method))
            }
        };
        if let Some((packed, method)) = opened {
            contents.spend(packed.len());
            contents.mark(
                Technique::PasswordInMessage,
                format!("'{}' opens with a password that stands in the message", entry.name),
            );
            if names::may_be_active(&entry.name) {
                contents.mark(
                    Technique::EncryptedActive,
                    format!("'{}' in an encrypted archive", names::tidy(&entry.name)),
                );
            }
            return Some((Cow::Owned(packed), method));
        }
    }
    None
}

/// One in 256 wrong passwords passes the check byte; what it opens is no DEFLATE stream then.
fn is_deflated(packed: &[u8], size: u64) -> bool {
    let limit = usize::try_from(size).unwrap_or(usize::MAX).min(64 << 10);
    let out = super::inflate::inflate(packed, Wrapping::Raw, limit);
    out.complete || (out.cut && out.bytes.len() == limit)
}

/// Reads an archive, or the document that is one.
pub(super) fn read(source: &Source<'_>, contents: &mut Contents<'_>) {
    let entries = entries(source.bytes);
    let has = |name: &str| entries.iter().any(|entry| entry.name.eq_ignore_ascii_case(name));
    if has("[Content_Types].xml") {
        office::read(&entries, contents);
    } else if has("content.xml") && (has("mimetype") || has("META-INF/manifest.xml")) {
        opendocument::read(&entries, contents);
    } else {
        let java = entries.iter().any(|entry| entry.name.ends_with(".class"));
        if has("AndroidManifest.xml") || (java && has("META-INF/MANIFEST.MF")) {
            contents.mark(
                Technique::Installer,
                format!("'{}' is a Java or Android program", source.name),
            );
        }
        read_archive(&entries, contents);
    }
}

fn read_archive(entries: &[Entry<'_>], contents: &mut Contents<'_>) {
    let mut closed = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.is_folder()) {
        match unpack(entry, contents) {
            Some(bytes) => contents.child(entry.name.clone(), bytes),
            None if entry.is_encrypted() => closed.push(entry.name.as_str()),
            None => list(&entry.name, contents),
        }
        if contents.room() == 0 {
            break;
        }
    }
    encrypted(&closed, contents);
}

/// Files that are locked: the archive says what they are called.
pub(super) fn encrypted(locked: &[&str], contents: &mut Contents<'_>) {
    let Some(first) = locked.first() else { return };
    contents.mark(
        Technique::Encrypted,
        format!("{} encrypted file(s), the first is '{}'", locked.len(), names::tidy(first)),
    );
    contents.note("encrypted files were not inspected");
    if let Some(active) = locked.iter().find(|name| names::may_be_active(name)) {
        contents.mark(
            Technique::EncryptedActive,
            format!("'{}' in an encrypted archive", names::tidy(active)),
        );
    }
    for name in locked {
        list(name, contents);
    }
}

/// What the name alone of a file says that could not be unpacked.
pub(super) fn list(name: &str, contents: &mut Contents<'_>) {
    if names::trick(name).is_some() {
        contents.mark(Technique::DeceptiveName, format!("'{}' in the archive", names::tidy(name)));
    }
    if names::is_script(name) {
        contents.mark(Technique::Script, format!("'{}' in the archive", names::tidy(name)));
    } else if names::starts_something(name) {
        contents.mark(Technique::Program, format!("'{}' in the archive", names::tidy(name)));
    }
}
