//! The picture of a contact (<https://learn.microsoft.com/graph/api/profilephoto-get>).

use axum::body::Bytes;
use serde_json::{Map, json};

use super::find;
use crate::graph::Desk;
use crate::graph::answer::{Answer, Content};
use crate::graph::errors::GraphError;
use crate::graph::page::single;

/// What of a picture is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// `/photo/$value`
    Bytes,
    /// `/photo`
    Facts,
}

pub(super) fn show(
    desk: &Desk<'_>,
    folder: Option<&str>,
    id: &str,
    what: What,
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let state = desk.mailbox.read();
    let (_, contact) = find(&state, folder, id)?;
    let photo = contact.photo.clone().ok_or_else(|| {
        GraphError::new(
            404,
            "ErrorItemNotFound",
            "The specified object was not found in the store., The photo wasn't found.",
        )
    })?;
    if what == What::Bytes {
        return Ok(Answer::status(200, Content::File(kind(&photo).to_owned(), photo)));
    }
    let facts = json!({
        "@odata.mediaContentType": kind(&photo),
        "id": "default",
        "height": 1,
        "width": 1,
    });
    let members = facts.as_object().cloned().unwrap_or_else(Map::new);
    Ok(single(desk, &format!("contacts/{id}/photo"), "", members, 200))
}

pub(super) fn put(
    desk: &Desk<'_>,
    folder: Option<&str>,
    id: &str,
    content_type: &str,
    body: &[u8],
) -> Result<Answer, GraphError> {
    desk.query.allow(&[])?;
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_lowercase();
    if !kind.starts_with("image/") {
        return Err(GraphError::new(
            415,
            "UnsupportedMediaType",
            "The content type of a photo must be an image's.",
        ));
    }
    if body.is_empty() {
        return Err(GraphError::new(400, "ErrorInvalidArgument", "The photo is empty."));
    }
    let mut state = desk.mailbox.write();
    let (item, _) = find(&state, folder, id)?;
    let photo = Bytes::copy_from_slice(body);
    state.change_contact(item, desk.now, |contact| contact.photo = Some(photo))?;
    Ok(Answer::status(200, Content::Empty))
}

fn kind(photo: &[u8]) -> &'static str {
    match photo {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'G', b'I', b'F', ..] => "image/gif",
        _ => "image/jpeg",
    }
}
