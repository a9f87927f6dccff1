//! Attachments: in the request that makes an item, in one of their own, or piece by piece.
//!
//! Sources: the Graph pages "Add attachment", "attachment: createUploadSession" and "Attach large
//! files to Outlook messages or events".

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use data_encoding::BASE64;
use mailkeep_model::{Attachment, Secret};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Place, serialized};
use crate::{
    ExchangeError,
    graph::client::{Ask, GraphProvider, MAX_FAULTS, Patience, read_all},
};

/// Longest JSON request. Graph takes 4 MB; what it counts beside the text is not told.
pub(super) const LONGEST_REQUEST: usize = 4_100_000;
/// Longest file for a request of its own ("under 3 MB"); base64 makes four bytes of three. Where
/// exactly a session is refused for being too small is not told: see [`add`].
const LONGEST_SINGLE: usize = 3_000_000;
/// A piece of an upload: a multiple of 320 KiB, and below the 4 MB that one may have.
const PIECE: usize = 10 * 320 * 1024;
/// What adding to a message that is no draft takes from 2026-12-31 on.
const ADVANCED: &str = "Mail-Advanced.ReadWrite.All";

/// A file to be attached.
#[derive(Debug, Default)]
pub(super) struct NewFile {
    /// Never empty.
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) inline: bool,
    pub(super) content_id: Option<String>,
    pub(super) bytes: Vec<u8>,
    /// The same as an Outlook item, when it is one and can be written so.
    pub(super) item: Option<Value>,
}

impl From<&Attachment> for NewFile {
    fn from(attachment: &Attachment) -> Self {
        let info = &attachment.info;
        let or = |text: &str, default: &str| {
            if text.is_empty() { default.to_owned() } else { text.to_owned() }
        };
        Self {
            name: or(&info.name, "attachment"),
            content_type: or(&info.content_type, "application/octet-stream"),
            inline: info.inline,
            content_id: info.content_id.clone(),
            bytes: attachment.bytes.clone(),
            item: None,
        }
    }
}

impl NewFile {
    fn json(&self) -> Value {
        if let Some(item) = &self.item {
            return json!({
                "@odata.type": "#microsoft.graph.itemAttachment",
                "name": self.name,
                "item": item,
            });
        }
        let mut file = json!({
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": self.name,
            "contentType": self.content_type,
            "isInline": self.inline,
            "contentBytes": BASE64.encode(&self.bytes),
        });
        if let Some(id) = &self.content_id {
            file["contentId"] = json!(id);
        }
        file
    }
}

/// Puts into a request what fits into it, in order; gives back what takes requests of its own.
pub(super) fn attach(fields: &mut Map<String, Value>, files: Vec<NewFile>) -> Vec<NewFile> {
    let mut used = serialized(fields).len();
    let (mut within, mut later) = (Vec::new(), Vec::new());
    for file in files {
        // Looked at before the bytes are made four thirds as many.
        let fits = file.bytes.len() <= LONGEST_SINGLE && used < LONGEST_REQUEST;
        let value = fits.then(|| file.json());
        let length = value.as_ref().map_or(usize::MAX, |value| value.to_string().len() + 1);
        match value {
            Some(value) if used.saturating_add(length) <= LONGEST_REQUEST => {
                used += length;
                within.push(value);
            }
            // As a file it can be sent in pieces.
            _ => later.push(NewFile { item: None, ..file }),
        }
    }
    if !within.is_empty() {
        fields.insert("attachments".into(), Value::Array(within));
    }
    later
}

/// Adds a file to an item that is there.
///
/// A failure leaves it open whether the file is there; the item is then made anew.
pub(super) async fn add(
    graph: &GraphProvider,
    place: &Place<'_>,
    id: &str,
    file: &NewFile,
) -> Result<(), ExchangeError> {
    if file.bytes.len() > LONGEST_SINGLE {
        match send(graph, place, id, file).await {
            Err(ExchangeError::Answer { status: 400, code, .. })
                if code.contains("MinimumSize") => {}
            done => return done,
        }
    }
    let ask = ask(graph, place, id, &["attachments"]);
    let posted = graph.post(&ask, serialized(&file.json())).await.map_err(explained)?;
    posted.certain().map(drop)
}

fn ask<'a>(graph: &GraphProvider, place: &Place<'a>, id: &str, below: &[&str]) -> Ask<'a> {
    let right = if place.items == "messages" { ADVANCED } else { place.right };
    let path = [&place.item(id)[..], below].concat();
    Ask { right, ..place.ask(graph, "adding an attachment", &path, &[]) }
}

/// By an upload session.
async fn send(
    graph: &GraphProvider,
    place: &Place<'_>,
    id: &str,
    file: &NewFile,
) -> Result<(), ExchangeError> {
    let mut item = json!({
        "attachmentType": "file",
        "name": file.name,
        "size": file.bytes.len(),
        "contentType": file.content_type,
        "isInline": file.inline,
    });
    if let Some(id) = &file.content_id {
        item["contentId"] = json!(id);
    }
    let ask = ask(graph, place, id, &["attachments", "createUploadSession"]);
    let body = serialized(&json!({ "AttachmentItem": item }));
    // A session that nobody uses comes to nothing: asking for another does no harm.
    let session = graph.change(&ask, reqwest::Method::POST, Some(body)).await.map_err(explained)?;
    let Ok(Session { upload_url }) = serde_json::from_slice(&session) else {
        return Err(ExchangeError::protocol(
            &ask.action,
            "there is no upload address in the answer",
        ));
    };
    send_pieces(graph, place, &ask.action, &Secret::new(upload_url), &file.bytes).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    upload_url: String,
}

#[derive(Deserialize)]
struct Progress {
    #[serde(default, alias = "nextExpectedRanges", alias = "NextExpectedRanges")]
    next: Vec<String>,
}

async fn send_pieces(
    graph: &GraphProvider,
    place: &Place<'_>,
    action: &str,
    address: &Secret,
    bytes: &[u8],
) -> Result<(), ExchangeError> {
    let whole = Bytes::copy_from_slice(bytes);
    let mut patience = Patience::default();
    let mut begin = 0;
    while begin < whole.len() {
        let range: Range<usize> = begin..whole.len().min(begin + PIECE);
        let named = format!("bytes {}-{}/{}", range.start, range.end - 1, whole.len());
        let piece = Some((named, whole.slice(range.clone())));
        let reason = match graph.send_piece(place.mailbox, address, piece).await {
            Ok(response) if response.status().is_success() => {
                begin = range.end;
                continue;
            }
            // Its words may repeat the address.
            Ok(response) => format!("a piece was answered {}", response.status().as_u16()),
            Err(reason) => reason,
        };
        let Some(wait) = patience.fault(MAX_FAULTS) else {
            return Err(ExchangeError::protocol(action, reason));
        };
        graph.counters().add_retried();
        tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
        begin = arrived(graph, place, address, whole.len()).await.ok_or_else(|| {
            ExchangeError::protocol(action, format!("the upload broke off ({reason})"))
        })?;
    }
    Ok(())
}

/// How much of a file has arrived, when the session still says so.
async fn arrived(
    graph: &GraphProvider,
    place: &Place<'_>,
    address: &Secret,
    size: usize,
) -> Option<usize> {
    let response = graph.send_piece(place.mailbox, address, None).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let progress: Progress = serde_json::from_slice(&read_all(response).await.ok()?).ok()?;
    let next = progress.next.first()?.split('-').next()?.trim().parse().ok()?;
    (next < size).then_some(next)
}

/// A refusal concerns this one item: others need no such request.
fn explained(error: ExchangeError) -> ExchangeError {
    match error {
        ExchangeError::Forbidden { action, right, message, .. } => ExchangeError::unsupported(
            action,
            format!(
                "the item is too large for one request (4 MB), and adding to it was refused: \
                 {message}. Grant the restorer's application {right}, with admin consent, and \
                 restore it again"
            ),
        ),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: usize) -> NewFile {
        NewFile { name: "a".into(), bytes: vec![7; size], ..NewFile::default() }
    }

    #[test]
    fn a_request_never_grows_past_what_graph_takes_and_no_attachment_is_forgotten() {
        for sizes in
            [&[1_000_000, 2_000_000, 1_000_000, 10][..], &[9_000_000], &[3_000_000; 3], &[]]
        {
            let mut fields = Map::new();
            fields.insert("subject".into(), json!("s"));
            let later = attach(&mut fields, sizes.iter().map(|size| file(*size)).collect());
            let within = fields.get("attachments").and_then(Value::as_array).map_or(0, Vec::len);
            assert_eq!(within + later.len(), sizes.len());
            assert!(serialized(&fields).len() <= LONGEST_REQUEST);
            for single in later.iter().filter(|file| file.bytes.len() <= LONGEST_SINGLE) {
                assert!(serialized(&single.json()).len() <= LONGEST_REQUEST);
            }
        }
        assert_eq!(PIECE % (320 * 1024), 0);
    }
}
