//! `POST /users/{id}/sendMail`. The lab says what is wrong with a message, and carries none.

use serde_json::Value;

use super::answer::Answer;
use super::errors::GraphError;

const RECIPIENTS: [&str; 3] = ["toRecipients", "ccRecipients", "bccRecipients"];

pub(super) fn answer(body: &[u8]) -> Result<Answer, GraphError> {
    let body: Value = serde_json::from_slice(body).map_err(|_| {
        GraphError::bad_request(
            "Unable to read JSON request payload. Please ensure it is valid JSON.",
        )
    })?;
    let message = &body["message"];
    if !message.is_object() {
        return Err(GraphError::bad_request("The message is missing."));
    }
    let is_to_somebody =
        RECIPIENTS.iter().any(|name| message[name].as_array().is_some_and(|list| !list.is_empty()));
    if !is_to_somebody {
        let text = "At least one recipient isn't valid., Recipient '' isn't resolved. All recipients must be resolved before a message can be submitted.";
        return Err(GraphError::new(400, "ErrorInvalidRecipients", text));
    }
    Err(GraphError::new(501, "NotImplemented", "The lab carries no mail."))
}
