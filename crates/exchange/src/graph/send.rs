//! Requests that change something.

use bytes::Bytes;
use reqwest::Method;

use super::client::{Ask, GraphProvider, Outcome, Repeat, Sending, read_all};
use crate::ExchangeError;

const JSON: &str = "application/json";

/// What became of a request that must not be carried out twice.
pub(super) enum Posted {
    /// It was carried out; the answer.
    Done(Bytes),
    /// It may have been carried out or not, and why that is not known.
    Unknown(ExchangeError),
}

impl Posted {
    /// The answer, for those who begin anew when there is none.
    pub(super) fn certain(self) -> Result<Bytes, ExchangeError> {
        match self {
            Self::Done(answer) => Ok(answer),
            Self::Unknown(error) => Err(error),
        }
    }
}

impl GraphProvider {
    /// Sends JSON that changes nothing more when it arrives twice.
    pub(super) async fn change(
        &self,
        ask: &Ask<'_>,
        method: Method,
        json: Option<Bytes>,
    ) -> Result<Bytes, ExchangeError> {
        let body = json.map(|json| (JSON, json));
        self.body_of(ask, &Sending { method, body, repeat: Repeat::Freely, places: 1 }).await
    }

    /// Replaces a resource that is no JSON.
    pub(super) async fn put(
        &self,
        ask: &Ask<'_>,
        media_type: &'static str,
        content: Bytes,
    ) -> Result<(), ExchangeError> {
        let body = Some((media_type, content));
        let sending = Sending { method: Method::PUT, body, repeat: Repeat::Freely, places: 1 };
        self.body_of(ask, &sending).await.map(drop)
    }

    /// Sends JSON that makes something. It is sent again only while it is sure that nothing was
    /// made.
    pub(super) async fn post(&self, ask: &Ask<'_>, json: Bytes) -> Result<Posted, ExchangeError> {
        let body = Some((JSON, json));
        let sending = Sending { method: Method::POST, body, repeat: Repeat::AfterALook, places: 1 };
        let (response, place) = match self.run(ask, &sending).await? {
            Outcome::Answered(response, place) => (response, place),
            Outcome::Unknown(error) => return Ok(Posted::Unknown(error)),
        };
        let answer = read_all(response).await;
        drop(place);
        Ok(match answer {
            Ok(answer) => Posted::Done(answer),
            Err(reason) => Posted::Unknown(self.unfit(ask, &reason)),
        })
    }
}
