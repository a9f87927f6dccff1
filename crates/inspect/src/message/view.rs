use std::{cell::OnceCell, ops::Range};

use mailkeep_model::CanaryMark;

use super::{
    address::Address,
    html::{Form, Image, Link, Rendered},
};
use crate::{facts::Facts, unpack::Object};

/// One parsed view of a message.
#[derive(Debug, Default)]
pub(crate) struct MessageView {
    /// `Message-ID` with its angle brackets.
    pub(crate) message_id: Option<String>,
    /// The mark of a canary, in its own header field.
    pub(crate) canary: Option<CanaryMark>,
    /// Who the message says it is from.
    pub(crate) from: Option<Address>,
    /// Where answers to it go.
    pub(crate) reply_to: Option<Address>,
    /// The program that made it (`X-Mailer`, `User-Agent`), as it says.
    pub(crate) client: Option<String>,
    /// Its language (`Content-Language`, RFC 3282).
    pub(crate) language: Option<String>,
    /// To whom it goes: the addresses of `To`, `Cc` and `Bcc`, as written.
    pub(crate) recipients: Vec<String>,
    /// What the receiving server found about the sender (`Authentication-Results`, RFC 8601).
    pub(crate) authentication: Option<String>,
    /// All texts, in the order in which they occur.
    pub(crate) fields: Vec<Field>,
    /// All files, each before those that were unpacked from it. What text is in them is in
    /// `fields`: `attachment[0].text`, `attachment[0]/inner.docx.text`, and the addresses that a
    /// document leads to as the HTML `attachment[0].links`.
    pub(crate) objects: Vec<Object>,
    /// Limits that were passed and that no honest message comes near: what it is, and how to tell
    /// people. The field that is found at is the last, `message`.
    pub(crate) excess: Vec<(&'static str, String)>,
    /// Why a part was not inspected.
    pub(crate) not_inspected: Vec<String>,
    facts: OnceCell<Facts>,
}

impl MessageView {
    /// What the message says and where it leads; read when a detector first asks.
    pub(crate) fn facts(&self) -> &Facts {
        self.facts.get_or_init(|| Facts::of(self))
    }
}

/// One decoded text of a message.
#[derive(Debug)]
pub(crate) struct Field {
    /// `subject`, `body.html`, `attachment[0].text`, …
    pub(crate) name: String,
    /// The decoded text; findings point into it.
    pub(crate) source: String,
    /// What a person sees of it, when that is not the source itself.
    rendered: Option<Rendered>,
}

impl Field {
    pub(crate) fn plain(name: String, source: String) -> Self {
        Self { name, source, rendered: None }
    }

    pub(crate) fn html(name: String, source: String, rendered: Rendered) -> Self {
        Self { name, source, rendered: Some(rendered) }
    }

    /// What a person sees.
    pub(crate) fn readable(&self) -> &str {
        self.rendered.as_ref().map_or(&self.source, |rendered| &rendered.text)
    }

    /// Pieces of the readable text that are in it and that nobody sees.
    pub(crate) fn hidden(&self) -> &[Range<usize>] {
        self.rendered.as_ref().map_or(&[], |rendered| &rendered.hidden)
    }

    /// The pictures of HTML.
    pub(crate) fn images(&self) -> &[Image] {
        self.rendered.as_ref().map_or(&[], |rendered| &rendered.images)
    }

    /// The forms of HTML.
    pub(crate) fn forms(&self) -> &[Form] {
        self.rendered.as_ref().map_or(&[], |rendered| &rendered.forms)
    }

    /// Where in the source a piece of the readable text stands, in bytes.
    pub(crate) fn place(&self, readable: Range<usize>) -> Range<usize> {
        match &self.rendered {
            Some(rendered) => rendered.place(readable),
            None => readable,
        }
    }

    /// The links of HTML, in order.
    pub(crate) fn links(&self) -> &[Link] {
        self.rendered.as_ref().map_or(&[], |rendered| &rendered.links)
    }

    /// The address that relative links are resolved against.
    pub(crate) fn base(&self) -> Option<&str> {
        self.rendered.as_ref()?.base.as_deref()
    }

    /// Whether links are marked up, so that their text and their target can differ.
    pub(crate) fn is_html(&self) -> bool {
        self.rendered.is_some()
    }
}
