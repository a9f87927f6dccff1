//! MIME structure (RFC 2045, 2046), walked with bounds.
//!
//! The walk is ours and not mail-parser's, because its tree has no bound on depth or number of
//! parts: 16 MiB of nested `message/rfc822` overflow the stack when the tree is dropped. Header
//! values, encoded words and character sets are mail-parser's.

use std::borrow::Cow;

use mail_parser::ContentType;
use memchr::memmem;

use super::{
    address::Address,
    decode,
    headers::Headers,
    html, passwords,
    view::{Field, MessageView},
};
use crate::{
    Limits,
    codes::{NotSearched, Pictures},
    unpack::{self, Budget, FileKind, Mark, Seed, Technique, Text, Unpacked},
};

/// The view of a message of which `raw` is the beginning and `whole_size` the size.
pub(crate) fn view_message(raw: &[u8], whole_size: u64, limits: &Limits) -> MessageView {
    let mut walk = Walk::new(limits);
    let read = &raw[..raw.len().min(limits.message_bytes)];
    walk.message(read, "", 0);
    if (read.len() as u64) < whole_size {
        walk.note(format!("only the first {} of {whole_size} bytes were inspected", read.len()));
    }
    walk.codes();
    walk.finish()
}

/// The view of plain text.
pub(crate) fn view_text(text: &str, limits: &Limits) -> MessageView {
    let mut walk = Walk::new(limits);
    walk.field("text".into(), text.to_owned(), Kind::Plain);
    walk.finish()
}

/// The view of an inbox rule, written as JSON.
pub(crate) fn view_rule(json: String) -> MessageView {
    let mut view = MessageView::default();
    view.fields.push(Field::plain("rule".to_owned(), json));
    view
}

/// The view of a file as the only attachment.
pub(crate) fn view_attachment(name: &str, bytes: &[u8], limits: &Limits) -> MessageView {
    let mut walk = Walk::new(limits);
    let read = &bytes[..bytes.len().min(limits.message_bytes)];
    if read.len() < bytes.len() {
        let (read, all) = (read.len(), bytes.len());
        walk.note(format!("only the first {read} of {all} bytes were inspected"));
    }
    walk.object(Seed {
        path: "attachment[0]".into(),
        name: name.to_owned(),
        declared: String::new(),
        charset: None,
        bytes: read.to_vec(),
        parent: None,
        depth: 0,
    });
    walk.codes();
    walk.finish()
}

/// Notes on what was not inspected; more tell a person nothing new.
const NOTES: usize = 200;

/// How a text is to be read.
#[derive(Clone, Copy)]
enum Kind {
    Plain,
    Html,
}

struct Walk<'l> {
    view: MessageView,
    limits: &'l Limits,
    budget: Budget,
    parts: usize,
    text_bytes: usize,
    links: usize,
}

/// A part that has no parts.
struct Leaf<'p, 'x> {
    headers: &'p Headers<'x>,
    body: &'x [u8],
    content_type: Option<ContentType<'static>>,
    mime: Cow<'p, str>,
    encoding: String,
}

/// What is known of the message whose parts are being walked.
struct Message {
    /// In front of the names of its fields: empty, or `attachment[1].message.`.
    prefix: String,
    attachments: usize,
    has_text: bool,
    has_html: bool,
}

impl<'l> Walk<'l> {
    fn new(limits: &'l Limits) -> Self {
        let budget = Budget::new(limits.unpacked_bytes, limits.objects);
        Self { view: MessageView::default(), limits, budget, parts: 0, text_bytes: 0, links: 0 }
    }

    fn message(&mut self, raw: &[u8], prefix: &str, depth: usize) {
        let (headers, body) = Headers::split(raw);
        if prefix.is_empty() {
            self.view.message_id = headers.message_id();
            self.view.canary = headers.canary();
            self.view.authentication = headers.authentication();
            self.view.client = headers.client();
            self.view.language = headers.language();
            self.view.from = self.address("from", headers.from());
            self.view.reply_to = self.address("reply-to", headers.reply_to());
            self.view.recipients = headers.recipients();
        }
        if let Some(subject) = headers.subject() {
            self.field(format!("{prefix}subject"), subject, Kind::Plain);
        }
        let mut message =
            Message { prefix: prefix.to_owned(), attachments: 0, has_text: false, has_html: false };
        self.part(&headers, body, "text/plain", &mut message, depth);
    }

    fn address(&mut self, name: &str, text: Option<String>) -> Option<Address> {
        let address = Address::read(text.as_deref()?, self.view.fields.len());
        self.field(name.to_owned(), text?, Kind::Plain);
        address.filter(|address| address.field < self.view.fields.len())
    }

    /// `default` is the type of a part that does not tell its own (RFC 2046 section 5.1.5).
    fn part(
        &mut self,
        headers: &Headers<'_>,
        body: &[u8],
        default: &str,
        message: &mut Message,
        depth: usize,
    ) {
        if self.parts >= self.limits.parts {
            return self.too_many_parts();
        }
        self.parts += 1;
        if depth > self.limits.mime_depth {
            let depth = self.limits.mime_depth;
            self.excess("nesting", format!("parts nested deeper than {depth} levels"));
            return self.note(format!("parts nested deeper than {depth} levels were not"));
        }
        let content_type = headers.content_type();
        let mime = mime_type(content_type.as_ref(), default);
        let encoding = headers.encoding();
        if mime.starts_with("multipart/")
            && let Some(boundary) = content_type.as_ref().and_then(|t| t.attribute("boundary"))
            && let Some(parts) = Parts::of(body, boundary)
        {
            let default = if mime == "multipart/digest" { "message/rfc822" } else { "text/plain" };
            for raw in parts {
                if self.parts >= self.limits.parts {
                    return self.too_many_parts();
                }
                let (headers, body) = Headers::split(raw);
                self.part(&headers, body, default, message, depth + 1);
            }
            return;
        }
        if matches!(mime.as_ref(), "message/rfc822" | "message/global") {
            let prefix = format!("{}attachment[{}].message.", message.prefix, message.attachments);
            message.attachments += 1;
            return self.message(&decode::transfer(body, &encoding), &prefix, depth + 1);
        }
        let leaf = Leaf { headers, body, content_type, mime, encoding };
        self.leaf(&leaf, message, depth);
    }

    fn leaf(&mut self, leaf: &Leaf<'_, '_>, message: &mut Message, depth: usize) {
        let disposition = leaf.headers.disposition();
        let attached = disposition.as_ref().is_some_and(|d| d.is_attachment());
        let mime = leaf.mime.as_ref();
        let body_slot = match mime {
            "text/html" if !attached => Some(("body.html", &mut message.has_html, Kind::Html)),
            // A multipart without parts is read as the text that it is.
            _ if !attached && (mime == "text/plain" || mime.starts_with("multipart/")) => {
                Some(("body.text", &mut message.has_text, Kind::Plain))
            }
            _ => None,
        };
        let bytes = decode::transfer(leaf.body, &leaf.encoding);
        let content_type = leaf.content_type.as_ref();
        let charset = content_type.and_then(|t| t.attribute("charset"));
        if let Some((name, taken @ false, kind)) = body_slot {
            *taken = true;
            let name = format!("{}{name}", message.prefix);
            return self.field(name, decode::charset(&bytes, charset), kind);
        }
        let number = message.attachments;
        message.attachments += 1;
        let file_name = disposition
            .as_ref()
            .and_then(|d| d.attribute("filename"))
            .or_else(|| content_type.and_then(|t| t.attribute("name")))
            .unwrap_or_default();
        self.object(Seed {
            path: format!("{}attachment[{number}]", message.prefix),
            name: file_name.trim().to_owned(),
            declared: mime.to_owned(),
            charset: charset.map(str::to_owned),
            bytes: bytes.into_owned(),
            parent: None,
            depth,
        });
    }

    /// A file, and all that is in it. Files inside follow the file that they are in.
    fn object(&mut self, seed: Seed) {
        let mut stack = vec![seed];
        while let Some(seed) = stack.pop() {
            if seed.depth > self.limits.mime_depth {
                self.too_deep(&seed);
                continue;
            }
            if !self.budget.object() {
                let most = self.limits.objects;
                self.excess("files", format!("more than {most} files"));
                return self.note(format!("more than {most} files: the rest was not"));
            }
            let depth = seed.depth + 1;
            let fields = &self.view.fields;
            let Unpacked { mut object, texts, links, children, notes } =
                unpack::unpack(seed, &mut self.budget, &|| passwords::near_the_word(fields));
            for note in notes {
                self.note(format!("{}: {note}", object.path));
            }
            let names = std::iter::once(String::new()).chain((1..).map(|n| format!("[{n}]")));
            for (text, number) in texts.into_iter().zip(names) {
                let name = format!("{}.text{number}", object.path);
                match text {
                    Text::Plain(text) => self.field(name, text, Kind::Plain),
                    Text::Html(text) => self.field(name, text, Kind::Html),
                }
            }
            self.field(format!("{}.links", object.path), links, Kind::Html);
            let parent = Some(self.view.objects.len());
            let seed = |(name, bytes): (String, Vec<u8>)| Seed {
                path: format!("{}/{name}", object.path),
                name: name.rsplit('/').next().unwrap_or_default().to_owned(),
                declared: String::new(),
                charset: None,
                bytes,
                parent,
                depth,
            };
            stack.extend(children.into_iter().rev().map(seed));
            let message = (object.kind == FileKind::Mail)
                .then(|| (std::mem::take(&mut object.bytes), format!("{}.message.", object.path)));
            self.view.objects.push(object);
            if let Some((bytes, prefix)) = message {
                self.message(&bytes, &prefix, depth);
                if let Some(object) = parent.and_then(|index| self.view.objects.get_mut(index)) {
                    object.bytes = bytes;
                }
            }
        }
    }

    /// Reads the QR codes of all pictures: each is a text of its own, `attachment[0].code`,
    /// `body.html.image[2].code`.
    fn codes(&mut self) {
        let mut pictures = Pictures::default();
        let mut read = Vec::new();
        let mut skipped = 0;
        for object in self.view.objects.iter().filter(|object| object.kind.is_image()) {
            match pictures.read(&object.bytes) {
                Ok(texts) => read.extend(texts.into_iter().map(|t| (object.path.clone(), t))),
                Err(NotSearched) => skipped += 1,
            }
        }
        for field in &self.view.fields {
            for (number, image) in field.images().iter().enumerate() {
                let Some(bytes) = inline_picture(&field.source[image.src.clone()]) else {
                    continue;
                };
                match pictures.read(&bytes) {
                    Ok(texts) => read.extend(
                        texts.into_iter().map(|t| (format!("{}.image[{number}]", field.name), t)),
                    ),
                    Err(NotSearched) => skipped += 1,
                }
            }
        }
        if skipped > 0 {
            self.note(format!(
                "{skipped} pictures were too large or too many: no QR code in them was"
            ));
        }
        for (path, text) in read {
            self.field(format!("{path}.code"), text, Kind::Plain);
        }
    }

    fn too_deep(&mut self, seed: &Seed) {
        let depth = self.limits.mime_depth;
        self.note(format!("files nested deeper than {depth} levels were not"));
        let parent = seed.parent.and_then(|parent| self.view.objects.get_mut(parent));
        if let Some(object) = parent {
            let evidence = format!("more than {depth} containers in one another");
            object.marks.push(Mark { technique: Technique::ArchiveBomb, evidence });
        }
    }

    fn field(&mut self, name: String, mut source: String, kind: Kind) {
        let room = self.limits.text_bytes.saturating_sub(self.text_bytes);
        if source.len() > room {
            source.truncate(source.floor_char_boundary(room));
            self.note(format!(
                "more than {} bytes of text: the rest was not",
                self.limits.text_bytes
            ));
        }
        self.text_bytes += source.len();
        if source.is_empty() {
            return;
        }
        let field = match kind {
            Kind::Plain => Field::plain(name, source),
            Kind::Html => {
                let rendered = html::render(&source, self.limits.links - self.links);
                self.links += rendered.links.len();
                if rendered.links_dropped {
                    self.note(format!("more than {} links: the rest was not", self.limits.links));
                }
                Field::html(name, source, rendered)
            }
        };
        self.view.fields.push(field);
    }

    fn finish(mut self) -> MessageView {
        if !self.view.excess.is_empty() {
            self.view.fields.push(Field::plain("message".to_owned(), String::new()));
        }
        self.view
    }

    fn too_many_parts(&mut self) {
        let most = self.limits.parts;
        self.excess("parts", format!("more than {most} parts"));
        self.note(format!("more than {most} parts: the rest was not"));
    }

    /// Says of a limit that no honest message comes near; of each kind once.
    fn excess(&mut self, what: &'static str, evidence: String) {
        if self.view.excess.iter().all(|(known, _)| *known != what) {
            self.view.excess.push((what, evidence));
        }
    }

    fn note(&mut self, note: String) {
        let note = if note.ends_with("inspected") { note } else { format!("{note} inspected") };
        // Hundreds of files may each have their own.
        if self.view.not_inspected.len() < NOTES && !self.view.not_inspected.contains(&note) {
            self.view.not_inspected.push(note);
        }
    }
}

/// The bytes of a picture that is written into the page (`data:image/png;base64,…`; RFC 2397).
fn inline_picture(src: &str) -> Option<Cow<'_, [u8]>> {
    let src = src.trim_ascii();
    let beginning = src.get(..11)?;
    if !beginning.eq_ignore_ascii_case("data:image/") {
        return None;
    }
    let (head, data) = src.split_once(',')?;
    head.to_ascii_lowercase()
        .ends_with(";base64")
        .then(|| decode::transfer(data.as_bytes(), "base64"))
        .map(|bytes| Cow::Owned(bytes.into_owned()))
}

/// `type/subtype` in lower case.
fn mime_type<'d>(content_type: Option<&ContentType<'_>>, default: &'d str) -> Cow<'d, str> {
    match content_type {
        Some(content_type) => match content_type.subtype() {
            Some(subtype) => Cow::Owned(
                format!("{}/{}", content_type.ctype().trim(), subtype.trim()).to_ascii_lowercase(),
            ),
            // "Content-Type: text" and the like.
            None => Cow::Borrowed("text/plain"),
        },
        None => Cow::Borrowed(default),
    }
}

/// The parts between the delimiter lines of a multipart (RFC 2046 section 5.1.1).
struct Parts<'x, 'b> {
    body: &'x [u8],
    delimiter: memmem::Finder<'b>,
    /// Where the next part begins; `None` behind the last.
    next: Option<usize>,
}

impl<'x> Parts<'x, '_> {
    /// `None` when no delimiter line is there.
    fn of(body: &'x [u8], boundary: &str) -> Option<Self> {
        let boundary = boundary.trim_ascii_end();
        if boundary.is_empty() {
            return None;
        }
        let delimiter = memmem::Finder::new(&format!("--{boundary}")).into_owned();
        let (_, next) = delimiter_line(body, &delimiter, 0)?;
        Some(Self { body, delimiter, next })
    }
}

impl<'x> Iterator for Parts<'x, '_> {
    type Item = &'x [u8];

    fn next(&mut self) -> Option<&'x [u8]> {
        let start = self.next?;
        let (end, next) = delimiter_line(self.body, &self.delimiter, start)
            // Cut off: the part reaches to the end.
            .unwrap_or((self.body.len(), None));
        self.next = next.filter(|&next| next > start);
        Some(self.body.get(start..end).unwrap_or_default())
    }
}

/// The next delimiter line at or behind `from`: where the text in front of it ends (its line end
/// belongs to the delimiter), and where the next part begins unless it is the closing one.
fn delimiter_line(
    body: &[u8],
    delimiter: &memmem::Finder<'_>,
    from: usize,
) -> Option<(usize, Option<usize>)> {
    let mut at = from;
    loop {
        let start = at + delimiter.find(body.get(at..)?)?;
        let behind = start + delimiter.needle().len();
        at = behind;
        if start != 0 && body[start - 1] != b'\n' {
            continue;
        }
        let line_end = memchr::memchr(b'\n', &body[behind..]).map(|offset| behind + offset);
        let tail = body[behind..line_end.unwrap_or(body.len())].trim_ascii();
        let closing = tail.starts_with(b"--");
        if !closing && !tail.is_empty() {
            continue; // a longer boundary that begins like this one
        }
        let before = match &body[from.min(start)..start] {
            [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => from.min(start) + text.len(),
            text => from.min(start) + text.len(),
        };
        let next = (!closing).then_some(line_end.map_or(body.len(), |end| end + 1));
        return Some((before, next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'x>(body: &'x str, boundary: &str) -> Vec<&'x str> {
        Parts::of(body.as_bytes(), boundary)
            .unwrap()
            .map(|part| std::str::from_utf8(part).unwrap())
            .collect()
    }

    #[test]
    fn parts_end_in_front_of_the_line_end_of_their_delimiter() {
        assert_eq!(
            parts("pre\r\n--b\r\none\r\n--b  \r\ntwo\r\n\r\n--b--\r\npost", "b"),
            ["one", "two\r\n"]
        );
        assert_eq!(parts("--b\none\n--bc\nstill\n--b\n--b--", "b"), ["one\n--bc\nstill", ""]);
        assert_eq!(parts("--b\nx --b\ncut off", "b"), ["x --b\ncut off"]);
        assert!(Parts::of(b"no delimiter", "b").is_none());
        assert!(Parts::of(b"--\n", "").is_none());
    }

    fn names(raw: &str) -> Vec<String> {
        let view = view_message(raw.as_bytes(), raw.len() as u64, &Limits::default());
        view.fields.into_iter().map(|field| field.name).collect()
    }

    #[test]
    fn every_text_has_the_name_that_the_documentation_gives_it() {
        let raw = "Subject: s\nContent-Type: multipart/mixed; boundary=o\n\n\
            --o\nContent-Type: multipart/alternative; boundary=\"i i\"\n\n\
            --i i\n\nplain\n--i i\nContent-Type: text/html\n\n<p>html\n--i i--\n\
            --o\nContent-Type: application/octet-stream; name=list.csv\n\na,b\n\
            --o\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: text/html\n\n<p>x\n\
            --o\nContent-Type: text/plain\n\nfooter\n--o--\n";
        assert_eq!(
            names(raw),
            [
                "subject",
                "body.text",
                "body.html",
                "attachment[0].text",
                "attachment[1].message.subject",
                "attachment[1].message.body.html",
                "attachment[2].text",
            ]
        );
    }

    #[test]
    fn the_parts_of_a_digest_are_messages() {
        let raw = "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: a\n\nx\n--d--";
        assert_eq!(
            names(raw),
            ["attachment[0].message.subject", "attachment[0].message.body.text"]
        );
    }
}
