use lettre::{
    Message,
    message::{
        Mailbox,
        header::{ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
};
use time::OffsetDateTime;

use crate::alerts::AlertMessage;

/// What a mail says of itself, so that no vacation notice answers it (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// A mail (RFC 5322) in plain text. The title is one line, so that it can begin no other header; `lettre`
/// encodes what is not ASCII (RFC 2047). `id` names it for ever: a mail that is sent twice has the same
/// Message-ID, and all about one alert are one conversation.
///
/// # Errors
/// When an address is none.
pub(crate) fn mail(
    message: &AlertMessage,
    id: &str,
    from: &str,
    to: &[String],
) -> Result<Message, String> {
    let mailbox = |text: &str| {
        text.parse::<Mailbox>().map_err(|error| format!("'{text}' is no address: {error}"))
    };
    let sender = mailbox(from)?;
    let domain = sender.email.domain().to_owned();
    let thread = format!("<{}@{domain}>", message.thread);
    let mut builder = Message::builder()
        .message_id(Some(format!("<{id}@{domain}>")))
        .in_reply_to(thread.clone())
        .references(thread)
        .date(system_time(message.said))
        .from(sender)
        .subject(format!("[Mailkeep] {}", message.title()))
        .header(AutoSubmitted)
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN);
    for address in to {
        builder = builder.to(mailbox(address)?);
    }
    let text = format!("{}\r\n\r\n{}\r\n", message.title(), message.lines().join("\r\n"));
    builder.body(text).map_err(|error| format!("the mail cannot be built: {error}"))
}

fn system_time(time: OffsetDateTime) -> std::time::SystemTime {
    // A mail's date has whole seconds, and none before 1970.
    let seconds = u64::try_from(time.unix_timestamp()).unwrap_or_default();
    std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
}
