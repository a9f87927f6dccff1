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
        let steward = self.steward(tenant).await?;
        for registration in self.learn_of_registrations(tenant).await? {
            let same = |one: &&mailkeep_control::TenantFunction| {
                one.client_id.eq_ignore_ascii_case(&registration.client_id)
            };
            let function = tenant.functions.iter().find(same).map(|one| one.function);
            let (Some(function), Some(principal)) = (function, &registration.principal) else {
                continue;
            };
            // It cannot switch itself on again. One that is off stays off: somebody chose that.
            if function == Function::Steward || !registration.enabled {
                continue;
            }
            let mut left = |what: String| report.left.push(Left { function, what });
            let Some(steward) = &steward else {
                left(format!(
                    "{CUT}: there is no steward's key. Disable the service principal and enable it again"
                ));
                continue;
            };
            if let Err(error) = steward.disable(&principal.id).await {
                left(format!("{CUT}: {error}"));
                continue;
            }
            match steward.enable(&principal.id).await {
                Ok(()) => report.cut.push(function),
                Err(error) => left(format!(
                    "ENABLE the service principal {} again: it was disabled to end tokens, and then: {error}",
                    principal.id
                )),
            }
        }
        Ok(())
    }
}
