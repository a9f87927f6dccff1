//! Changes the keys of a tenant's functions: what comes next says `identity::rotation`, and here it is
//! done.
//!
//! Nothing of a rotation is remembered but what is known of each key, so that it goes on after a crash
//! by being asked for again. What is found out is noted as soon as it is known.

mod course;
mod cut;
mod fleet;
mod revoke;
mod tending;
mod unit;

use mailkeep_identity::rotation::{Order, Stage};
use mailkeep_model::{Function, TenantName};
use serde::Serialize;
use time::OffsetDateTime;

pub use fleet::{FleetChange, FleetOrder, FleetWhose, OrderedFleet};
pub use revoke::{Left, Purged, Revocation};
pub use tending::{KeyFailure, KeyTending};

use crate::{Service, ServiceError, service::audit_entry};
pub(crate) use course::name_at_the_provider;
use course::{Course, Manner};

/// How a change of keys went.
#[derive(Clone, Debug, Serialize)]
pub struct Rotation {
    /// Whose.
    pub tenant: TenantName,
    /// Which function's.
    pub function: Function,
    /// Where it stands.
    pub stage: Stage,
    /// Whether it has stood there for longer than it should.
    pub late: bool,
    /// The key that signs now.
    pub key_id: Option<String>,
    /// What was done, in order.
    pub done: Vec<Step>,
    /// What stands in the way, for people.
    pub waits_for: Option<String>,
}

/// A step of a rotation.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What was done.
    pub what: StepKind,
    /// With which key.
    pub key_id: String,
}

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// It was made.
    Made,
    /// The provider was asked to take it.
    Registered,
    /// It was found to be accepted.
    Accepted,
    /// It was found to be refused.
    Refused,
    /// It became the one that signs.
    Activated,
    /// The provider was asked to take it no more.
    Removed,
    /// It was destroyed.
    Destroyed,
}

impl StepKind {
    /// For people, behind a key's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Registered => "registered",
            Self::Accepted => "accepted by the provider",
            Self::Refused => "refused by the provider",
            Self::Activated => "signs from now on",
            Self::Removed => "removed at the provider",
            Self::Destroyed => "destroyed",
        }
    }
}

impl Service {
    /// Changes the key of a function now, and waits until that is done or `deadline` has come. What is
    /// left then is done by the same call later: a change that has begun goes on, and no other begins.
    ///
    /// # Errors
    /// [`ServiceError::NotRegistered`], and what the signer or the provider refuses for good.
    pub async fn rotate(
        &self,
        tenant: &TenantName,
        function: Function,
        deadline: OffsetDateTime,
    ) -> Result<Rotation, ServiceError> {
        let order = Order { at: OffsetDateTime::now_utc(), distrust: None, urgent: false };
        self.rotate_with(tenant, function, order, deadline).await
    }

    async fn rotate_with(
        &self,
        tenant: &TenantName,
        function: Function,
        order: Order,
        deadline: OffsetDateTime,
    ) -> Result<Rotation, ServiceError> {
        let mut course = Course::begin(self, tenant, function, None).await?;
        if !order.urgent {
            course.stay_with_the_authority().await?;
        }
        course.order(order).await?;
        course.run(&self.patiently(deadline)).await?;
        Ok(course.report())
    }

    /// Does what is due for the key of a function: changes it at two thirds of its life, makes one for
    /// the next time, and goes on with what was begun.
    ///
    /// # Errors
    /// As for [`Service::rotate`].
    pub async fn tend_keys(
        &self,
        tenant: &TenantName,
        function: Function,
        deadline: OffsetDateTime,
    ) -> Result<Rotation, ServiceError> {
        let mut course = Course::begin(self, tenant, function, None).await?;
        if let Err(error) = course.stay_with_the_authority().await {
            let ServiceError::OwnAuthority { .. } = error else { return Err(error) };
            return Ok(Rotation { waits_for: Some(error.to_string()), ..course.report() });
        }
        course.run(&self.patiently(deadline)).await?;
        Ok(course.report())
    }

    /// One key, to its end.
    fn patiently(&self, deadline: OffsetDateTime) -> Manner {
        let (policy, hold) = (self.key_policy, time::Duration::ZERO);
        Manner { policy, deadline, waits: true, spare: true, hold }
    }

    async fn keep_order(
        &self,
        tenant: &TenantName,
        function: Function,
        order: &Order,
    ) -> Result<(), ServiceError> {
        let value = serde_json::to_value(order).expect("times and switches serialise");
        let details = serde_json::json!({ "function": function, "order": value });
        let entry = audit_entry(tenant, "identity.rotate", details);
        Ok(self.control.order_rotation(tenant, function, value, entry).await?)
    }

    async fn ordered(
        &self,
        tenant: &TenantName,
        function: Function,
    ) -> Result<Option<Order>, ServiceError> {
        let stored = self.control.rotation_order(tenant, function).await?;
        let unreadable = |error: serde_json::Error| {
            mailkeep_control::ControlError::Corrupt(format!("the order to change keys: {error}"))
        };
        Ok(stored.map(serde_json::from_value).transpose().map_err(unreadable)?)
    }
}
