//! Ending tokens that were given out.

use mailkeep_control::Tenant;
use mailkeep_model::Function;

use super::revoke::{Left, Revocation};
use crate::{Service, ServiceError};

/// How what could not be begun is said.
const CUT: &str = "tokens that were given out could not be ended";

impl Service {
    /// Disables the service principals and enables them again: those who evaluate access continuously
    /// refuse every token from before then. A thief who declares that he understands it gets tokens of a
    /// day and more, and these are the ones that it ends; others end by themselves within 90 minutes
    /// (<https://learn.microsoft.com/entra/identity/conditional-access/concept-continuous-access-evaluation-workload>).
    /// It comes last, when he gets no more of them.
    pub(super) async fn cut_tokens_or_say(&self, tenant: &Tenant, report: &mut Revocation) {
        if let Err(error) = self.cut_tokens(tenant, report).await {
            let what = format!("{CUT}: {error}");
            report.left.push(Left { function: Function::Steward, what });
        }
    }

    async fn cut_tokens(
        &self,
        tenant: &Tenant,
        report: &mut Revocation,
    ) -> Result<(), ServiceError> {
        // Without one there is nobody who could; the tokens end by themselves, and the report says when.
        let Some(steward) = self.steward(tenant).await? else { return Ok(()) };
        for registration in self.registrations_for(tenant, report).await? {
            let function = tenant.function_of(&registration.client_id);
            let (Some(function), Some(principal)) = (function, &registration.principal) else {
                continue;
            };
            // It cannot switch itself on again.
            if function == Function::Steward {
                continue;
            }
            let mut left = |what: String| report.left.push(Left { function, what });
            let ours = self.watch(&tenant.name).await?.switching.contains(&principal.id);
            if !registration.enabled && !ours {
                // Somebody chose that, a thief perhaps.
                left("sign-in of its service principal is switched off: switch it on, unless that is meant".to_owned());
                continue;
            }
            // Noted first: whatever happens now, the next revocation switches it on again.
            let id = principal.id.clone();
            self.change_watch(&tenant.name, |watch| {
                watch.switching.insert(id);
            })
            .await?;
            let disabled = steward.disable(&principal.id).await;
            match (steward.enable(&principal.id).await, disabled) {
                (Ok(()), disabled) => {
                    let id = &principal.id;
                    self.change_watch(&tenant.name, |watch| {
                        watch.switching.remove(id);
                    })
                    .await?;
                    match disabled {
                        Ok(()) => report.cut.push(function),
                        Err(error) => left(format!("{CUT}: {error}")),
                    }
                }
                (Err(error), _) => left(format!(
                    "ENABLE the service principal {} again, or run this again: it was disabled to end tokens, and then: {error}",
                    principal.id
                )),
            }
        }
        Ok(())
    }
}
