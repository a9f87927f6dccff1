//! What a request may do besides what its token says: access that is evaluated anew, Exchange's own
//! roles, limits that mailboxes share; and who it is that acts, for the log of changes.

use std::sync::Arc;

use super::directory::Office;
use super::errors::GraphError;
use super::query::Query;
use super::route::{Route, Target};
use super::{Base, Call, exchange, header, throttled};
use crate::entra::{Actor, GRAPH_APPLICATION, Grant, Who};
use crate::state::Known;
use crate::throttle::Shared as Limit;

impl Call<'_> {
    /// Evaluates access anew, for a client that understands what it is told then
    /// (<https://learn.microsoft.com/entra/identity/conditional-access/concept-continuous-access-evaluation-workload>).
    pub(super) fn evaluate(&self, grant: &Grant) -> Result<(), GraphError> {
        let enabled = {
            let registry = grant.tenant.registry();
            let principal = registry.principal(grant.client_id);
            principal.is_some_and(|one| {
                one.enabled && one.revoked.is_none_or(|revoked| revoked < grant.issued)
            })
        };
        let reason = if !enabled {
            "TokenIssuedBeforeRevocationTimestamp"
        } else if grant.tenant.access.blocks(grant.service_principal_id, self.peer.ip()) {
            "LocationConditionEvaluationSatisfied"
        } else {
            return Ok(());
        };
        let text = format!(
            "Continuous access evaluation resulted in challenge with result: InteractionRequired and \
             code: {reason}"
        );
        let now = self.shared.clock.unix().to_string();
        let claims = serde_json::json!({
            "access_token": { "nbf": { "essential": true, "value": now } },
        });
        let claims = data_encoding::BASE64.encode(claims.to_string().as_bytes());
        let challenge = format!(
            "Bearer realm=\"\", authorization_uri=\"{}/common/oauth2/authorize\", \
             client_id=\"{GRAPH_APPLICATION}\", error_description=\"{text}\", \
             error=\"insufficient_claims\", claims=\"{claims}\"",
            self.shared.authority
        );
        Err(GraphError {
            challenge: Some(challenge),
            ..GraphError::new(401, "InvalidAuthenticationToken", text)
        })
    }

    /// Whether Exchange's own roles let the application do this, in this mailbox. They add to what
    /// was consented to in the directory.
    pub(super) fn exchange_allows(&self, grant: &Grant, route: &Route, any_of: &[&str]) -> bool {
        let mailbox = match &route.target {
            Target::Mail { user, .. } => grant.tenant.mailbox(user),
            Target::Exchange { mailbox, .. } => exchange::mailbox(&grant.tenant, mailbox).ok(),
            _ => None,
        };
        mailbox.is_some_and(|mailbox| {
            let delay = i64::from(self.shared.entra.settings().exchange_roles_delay);
            let known = Known { now: self.shared.clock.unix(), delay };
            grant.tenant.exchange_allows(grant.client_id, &mailbox, any_of, known)
        })
    }

    /// Takes from what the application may ask in all mailboxes together, and of the directory.
    pub(super) fn count(&mut self, grant: &Grant, target: &Target) -> Result<(), GraphError> {
        let (now, users) = (self.shared.clock.unix(), grant.tenant.size());
        let take = |limit, cost| {
            let throttle = &self.shared.throttle;
            throttle.take(limit, grant.client_id, grant.tenant.id, users, cost, now)
        };
        take(Limit::Application, 1).map_err(throttled)?;
        let special = match target {
            Target::Directory(what) => what.limit(),
            Target::Users => Some((Limit::Directory, 2)),
            Target::User(_) | Target::Organization => Some((Limit::Directory, 1)),
            _ => None,
        };
        let Some((limit, cost)) = special else { return Ok(()) };
        let share = take(limit, cost).map_err(throttled)?;
        if limit == Limit::Directory {
            self.units = Some((cost, share));
        }
        Ok(())
    }

    pub(super) fn office<'o>(
        &self,
        base: &'o Base<'o>,
        query: &'o Query,
        grant: &'o Arc<Grant>,
    ) -> Office<'o>
    where
        Self: 'o,
    {
        let registry = grant.tenant.registry();
        let principal = registry.principal(grant.client_id);
        let name = principal.map(|one| one.object.display_name.clone()).unwrap_or_default();
        drop(registry);
        Office {
            shared: self.shared,
            base,
            query,
            grant,
            tenant: &grant.tenant,
            actor: Actor {
                who: Who::Application {
                    client_id: grant.client_id,
                    service_principal_id: grant.service_principal_id,
                    name,
                },
                address: self.peer.ip(),
                user_agent: header(&self.parts.headers, "user-agent").unwrap_or_default().into(),
                correlation: self.request_id,
            },
            now: self.shared.clock.unix(),
        }
    }
}
