//! When each key last got a token.

use std::collections::HashMap;

use mailkeep_identity::{
    ReceiptEvent,
    ledger::{LedgerEvent, LedgerRecord},
};
use time::OffsetDateTime;

use super::read_receipts;
use crate::{Service, ServiceError, service::blocking};

/// When a token was last received with each key (by the signer's name for it).
#[derive(Debug, Default)]
pub(crate) struct LastTokens(HashMap<String, OffsetDateTime>);

impl LastTokens {
    pub(crate) fn of(&self, key_id: &str) -> Option<OffsetDateTime> {
        self.0.get(key_id).copied()
    }
}

impl Service {
    /// When a token was last received with each key, as the receipts say. All of receipts and ledger are
    /// read: once for many tenants, not for each. Where they cannot be read, nothing is known.
    pub(crate) async fn last_tokens(&self) -> LastTokens {
        self.read_last_tokens().await.unwrap_or_default()
    }

    async fn read_last_tokens(&self) -> Result<LastTokens, ServiceError> {
        let path = self.data.receipts();
        let received = blocking(move || {
            let (mut requests, mut received) = (HashMap::new(), HashMap::new());
            let read = read_receipts(path, None, |receipt| match &receipt.event {
                ReceiptEvent::Intended { client_request_id, jti, .. } => {
                    requests.insert(*client_request_id, jti.clone());
                }
                ReceiptEvent::Received { client_request_id, .. } => {
                    if let Some(jti) = requests.remove(client_request_id) {
                        received.insert(jti, receipt.time);
                    }
                }
                _ => {}
            })?;
            Ok(read.ok().map(|_| received))
        });
        let Some(received) = received.await? else { return Ok(LastTokens::default()) };
        let each = move |last: &mut HashMap<String, OffsetDateTime>, record: &LedgerRecord| {
            if let LedgerEvent::AssertionSigned { jti, key_id, .. } = &record.event
                && let Some(at) = received.get(jti)
            {
                let known = last.entry(key_id.clone()).or_insert(*at);
                *known = (*known).max(*at);
            }
        };
        let (read, last) = self.read_ledger(Vec::new(), HashMap::new(), each).await?;
        Ok(read.outcome.map(|_| LastTokens(last)).unwrap_or_default())
    }
}
