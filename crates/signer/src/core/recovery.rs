//! In the place of a lost signer: whose ledger this one follows, and secrets that were kept outside.

use mailkeep_identity::{
    LedgerEnd, SecretName,
    ledger::{LedgerEvent, Requester},
    protocol::{Failure, LONGEST_REASON},
    why_unnamed,
};
use mailkeep_model::{Secret, TenantName};

use super::{Core, damaged, lock, secrets::bounded, unwritable, unwritten};
use crate::{request::refusal, secrets::Owner};

impl Core {
    pub(super) fn follow(
        &self,
        lost: Option<LedgerEnd>,
        earlier: Vec<LedgerEnd>,
        reason: String,
        by: &Requester,
    ) -> Result<(), Failure> {
        if reason.trim().is_empty() || reason.len() > LONGEST_REASON {
            return Err(refusal(format!("the reason has 1 to {LONGEST_REASON} bytes")));
        }
        let own = self.ledger.public_key().to_string();
        if let Some(why) = why_unnamed(lost.as_ref(), &earlier, Some(&own)) {
            return Err(refusal(why));
        }
        let event = LedgerEvent::Follows { lost, earlier, reason, by: by.clone() };
        let followed = self.ledger.follow(&event);
        followed.map_err(unwritten)?.map_err(|why| {
            refusal(format!(
                "the ledger cannot follow another one any more: {why}. A signer that takes the place of a lost one begins with an empty directory"
            ))
        })
    }

    pub(super) fn store_secret(
        &self,
        tenant: TenantName,
        name: SecretName,
        secret: &Secret,
        by: &Requester,
    ) -> Result<(), Failure> {
        bounded(secret)?;
        let _making = lock(&self.making_secret);
        let present = self.secrets.read(Owner::Tenant(&tenant), &name);
        match present.map_err(|error| damaged(error.to_string()))? {
            Some(present) if present.expose() == secret.expose() => return Ok(()),
            Some(_) => return Err(refusal("there is another one already".to_owned())),
            None => {}
        }
        let (of, called) = (tenant.clone(), name.clone());
        self.record(&LedgerEvent::SecretStored { tenant, name, by: by.clone() })?;
        let stored = self.secrets.store(Owner::Tenant(&of), &called, secret);
        stored.map_err(|error| unwritable("secret", &error))
    }
}
