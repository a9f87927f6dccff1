//! What was signed with our keys, and what the workers say they did with it.

use std::collections::{HashMap, HashSet};

use mailkeep_identity::{
    JobId, ReceiptEvent, Record,
    ledger::{LedgerEvent, LedgerRecord},
};
use mailkeep_model::{Function, TenantName};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::Contradiction;

/// An assertion that the signer signed, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The assertion's unique id.
    pub jti: String,
    /// The key, by the ledger's name.
    pub key_id: String,
    /// What the key is for.
    pub function: Function,
    /// The application, lower case.
    pub client_id: String,
    /// When it was signed.
    pub signed: OffsetDateTime,
    /// When the assertion stopped being good.
    pub expires: OffsetDateTime,
    /// The job that it was signed for.
    pub job: Option<JobId>,
    /// The token request that was made with it, if any.
    pub request: Option<TokenRequest>,
}

/// A token request, as the worker that made it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// What the worker called it.
    pub client_request_id: Uuid,
    /// When it was about to go out.
    pub intended: OffsetDateTime,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a token request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody knows: the worker ended in between.
    Lost,
    /// With a token.
    Received {
        /// When.
        at: OffsetDateTime,
        /// The provider's id of the request.
        request_id: Option<Uuid>,
        /// The token's identifier, where it could be read.
        uti: Option<String>,
        /// Until when the token works.
        expires: OffsetDateTime,
    },
    /// Without one.
    Refused {
        /// When.
        at: OffsetDateTime,
    },
}

impl Use {
    /// The token's identifier, whether it was read or follows from the request's id.
    pub fn uti(&self) -> Option<String> {
        match &self.request.as_ref()?.outcome {
            Outcome::Received { uti: Some(uti), .. } => Some(uti.clone()),
            Outcome::Received { request_id: Some(id), .. } => {
                Some(mailkeep_identity::uti::from_request_id(*id))
            }
            _ => None,
        }
    }

    /// Whether this use has a token whose identifier could not be read, and which works at `at`; the
    /// clocks may be `skew` apart.
    ///
    /// One that follows from the request's id does not count as read: nobody has seen yet that it
    /// does in a real tenant. A token whose answer was lost is in nobody's hands.
    pub(crate) fn has_a_nameless_token(&self, at: OffsetDateTime, skew: Duration) -> bool {
        let Some(request) = &self.request else { return false };
        match &request.outcome {
            Outcome::Received { uti: None, expires, .. } => {
                request.intended - skew <= at && at <= *expires + skew
            }
            _ => false,
        }
    }
}

/// Joins what the signer wrote down with what the workers say, for one tenant.
///
/// The receipts have to be read *before* the ledger: an assertion is in the ledger before its receipt
/// is written, so that a receipt whose assertion the ledger lacks was made up.
pub fn join_uses<'a>(
    tenant: &TenantName,
    ledger: impl IntoIterator<Item = &'a LedgerRecord>,
    receipts: impl IntoIterator<Item = &'a Record<ReceiptEvent>>,
) -> (Vec<Use>, Vec<Contradiction>) {
    let uses: Vec<Use> = ledger.into_iter().filter_map(|record| signed(tenant, record)).collect();
    let by_jti = uses.iter().enumerate().map(|(number, one)| (one.jti.clone(), number)).collect();
    let mut joining = Joining {
        uses,
        by_jti,
        requests: HashMap::new(),
        elsewhere: HashSet::new(),
        contradictions: Vec::new(),
    };
    for record in receipts {
        joining.receipt(tenant, record);
    }
    (joining.uses, joining.contradictions)
}

struct Joining {
    uses: Vec<Use>,
    by_jti: HashMap<String, usize>,
    /// Which use a request was made for; none, when its intent contradicts the ledger.
    requests: HashMap<Uuid, Option<usize>>,
    /// Requests of other tenants.
    elsewhere: HashSet<Uuid>,
    contradictions: Vec<Contradiction>,
}

impl Joining {
    fn receipt(&mut self, tenant: &TenantName, record: &Record<ReceiptEvent>) {
        let at = record.time;
        match &record.event {
            ReceiptEvent::Intended { client_request_id: id, tenant: of, .. } if of != tenant => {
                self.elsewhere.insert(*id);
            }
            ReceiptEvent::Intended { client_request_id: id, function, jti, .. } => {
                let place = self.by_jti.get(jti).copied();
                let request =
                    TokenRequest { client_request_id: *id, intended: at, outcome: Outcome::Lost };
                let one = place.map(|number| &mut self.uses[number]);
                self.contradictions.extend(intend(one, jti, *function, request).err());
                self.requests.insert(*id, place);
            }
            ReceiptEvent::Received { client_request_id, request_id, uti, expires } => {
                let request_id = request_id.as_deref().and_then(|id| Uuid::try_parse(id).ok());
                let outcome =
                    Outcome::Received { at, request_id, uti: uti.clone(), expires: *expires };
                self.ended(*client_request_id, at, outcome);
            }
            ReceiptEvent::Refused { client_request_id, .. } => {
                self.ended(*client_request_id, at, Outcome::Refused { at });
            }
            _ => {}
        }
    }

    /// One whose intent contradicts the ledger has been reported already.
    fn ended(&mut self, client_request_id: Uuid, at: OffsetDateTime, outcome: Outcome) {
        let Some(place) = self.requests.get(&client_request_id) else {
            if !self.elsewhere.contains(&client_request_id) {
                self.contradictions.push(Contradiction::WithoutIntent { client_request_id, at });
            }
            return;
        };
        let request = place.and_then(|number| self.uses[number].request.as_mut());
        match request.filter(|request| request.client_request_id == client_request_id) {
            Some(request) if request.outcome == Outcome::Lost => request.outcome = outcome,
            Some(_) => {
                self.contradictions.push(Contradiction::EndedTwice { client_request_id, at });
            }
            None => {}
        }
    }
}

fn signed(tenant: &TenantName, record: &LedgerRecord) -> Option<Use> {
    let LedgerEvent::AssertionSigned {
        tenant: of,
        function,
        jti,
        key_id,
        client_id,
        expires,
        by,
        ..
    } = &record.event
    else {
        return None;
    };
    (of == tenant).then(|| Use {
        jti: jti.clone(),
        key_id: key_id.clone(),
        function: *function,
        client_id: client_id.to_ascii_lowercase(),
        signed: record.time,
        expires: *expires,
        job: by.job.clone(),
        request: None,
    })
}

/// Notes that a request is about to be made with an assertion: one that is in the ledger, for the
/// same function, and was used for no other.
fn intend(
    one: Option<&mut Use>,
    jti: &str,
    claimed: Function,
    request: TokenRequest,
) -> Result<(), Contradiction> {
    let TokenRequest { client_request_id, intended: at, .. } = request;
    let jti = jti.to_owned();
    let Some(one) = one else {
        return Err(Contradiction::UnknownAssertion { jti, client_request_id, at });
    };
    if one.function != claimed {
        return Err(Contradiction::OtherFunction { jti, claimed, signed: one.function, at });
    }
    if one.request.is_some() {
        return Err(Contradiction::ReusedAssertion { jti, client_request_id, at });
    }
    one.request = Some(request);
    Ok(())
}

#[cfg(test)]
mod tests {
    use mailkeep_identity::{Head, ledger, ledger::Requester};
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn tenant() -> TenantName {
        "acme".parse().unwrap()
    }

    fn signature(jti: &str, function: Function) -> LedgerRecord {
        let by = Requester {
            caller: "service".parse().unwrap(),
            job: Some(Uuid::nil().into()),
            uid: Some(1),
            pid: None,
            certificate: None,
        };
        let event = LedgerEvent::AssertionSigned {
            tenant: tenant(),
            function,
            jti: jti.to_owned(),
            key_id: "key".to_owned(),
            client_id: "ABC".to_owned(),
            audience: "https://login.example".to_owned(),
            expires: NOW + Duration::minutes(5),
            by,
        };
        let (line, _) = ledger::encode(&Head::EMPTY, NOW, &event).unwrap();
        ledger::parse(line.strip_suffix(b"\n").unwrap()).unwrap()
    }

    fn receipts(events: Vec<ReceiptEvent>) -> Vec<Record<ReceiptEvent>> {
        let hash = Head::EMPTY.hash;
        let record = |event| Record { seq: 1, prev: hash, time: NOW, event, hash };
        events.into_iter().map(record).collect()
    }

    fn intended(id: u128, jti: &str, function: Function) -> ReceiptEvent {
        ReceiptEvent::Intended {
            client_request_id: Uuid::from_u128(id),
            job: Uuid::nil().into(),
            tenant: tenant(),
            function,
            jti: jti.to_owned(),
        }
    }

    fn received(id: u128) -> ReceiptEvent {
        ReceiptEvent::Received {
            client_request_id: Uuid::from_u128(id),
            request_id: None,
            uti: Some("token".to_owned()),
            expires: NOW + Duration::hours(1),
        }
    }

    fn contradictions(events: Vec<ReceiptEvent>) -> Vec<Contradiction> {
        let ledger = [signature("one", Function::Reader)];
        join_uses(&tenant(), &ledger, &receipts(events)).1
    }

    #[test]
    fn a_use_is_joined_with_what_became_of_it() {
        let ledger = [signature("one", Function::Reader), signature("two", Function::Reader)];
        let told = receipts(vec![intended(1, "one", Function::Reader), received(1)]);
        let (uses, contradictions) = join_uses(&tenant(), &ledger, &told);
        assert_eq!(contradictions, []);
        assert_eq!(uses[0].uti().as_deref(), Some("token"));
        assert_eq!(uses[0].client_id, "abc");
        assert_eq!(uses[1].request, None);
    }

    #[test]
    fn a_receipt_that_somebody_made_up_is_found() {
        let reader = Function::Reader;
        assert!(matches!(
            contradictions(vec![intended(1, "made up", reader)])[..],
            [Contradiction::UnknownAssertion { .. }]
        ));
        assert!(matches!(
            contradictions(vec![intended(1, "one", reader), intended(2, "one", reader)])[..],
            [Contradiction::ReusedAssertion { .. }]
        ));
        assert!(matches!(
            contradictions(vec![intended(1, "one", Function::Restorer)])[..],
            [Contradiction::OtherFunction { .. }]
        ));
        assert!(matches!(
            contradictions(vec![received(1)])[..],
            [Contradiction::WithoutIntent { .. }]
        ));
        let twice = vec![intended(1, "one", reader), received(1), received(1)];
        assert!(matches!(contradictions(twice)[..], [Contradiction::EndedTwice { .. }]));
    }
}
