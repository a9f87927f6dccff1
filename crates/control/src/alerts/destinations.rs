use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    sea_query::Expr,
};
use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    convert::{instant, micros, text, unsigned},
    entity::{alert_delivery, alert_destination},
};

/// Somebody whom alerts are to be told to.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAlertDestination {
    /// Its name.
    pub name: String,
    /// How it is told.
    pub kind: String,
    /// Where it is, for people; never a secret.
    pub host: String,
    /// What is told to it, and how often.
    pub settings: Value,
}

/// Somebody whom alerts are told to, and how that goes.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertDestination {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// How it is told.
    pub kind: String,
    /// Where it is, for people.
    pub host: String,
    /// What is told to it, and how often.
    pub settings: Value,
    /// When it was added.
    pub created: OffsetDateTime,
    /// When something last arrived there.
    pub delivered: Option<OffsetDateTime>,
    /// Since when nothing arrives there; `None`: the last delivery arrived.
    pub failing_since: Option<OffsetDateTime>,
    /// Attempts that failed since.
    pub failures: u64,
    /// When the next one is made.
    pub retry_at: Option<OffsetDateTime>,
    /// Why the last one failed.
    pub error: Option<String>,
    /// Deliveries that wait.
    pub waiting: u64,
    /// Deliveries that were given up.
    pub set_aside: u64,
}

impl Control {
    /// Adds a destination.
    ///
    /// # Errors
    ///
    /// [`ControlError::AlreadyExists`] when there is one of that name.
    pub async fn add_alert_destination(
        &self,
        new: NewAlertDestination,
        now: OffsetDateTime,
    ) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        let known = alert_destination::Entity::find()
            .filter(alert_destination::Column::Name.eq(new.name.as_str()))
            .one(&transaction)
            .await?;
        if known.is_some() {
            return Err(ControlError::AlreadyExists {
                what: format!("alert destination '{}'", new.name),
            });
        }
        let row = alert_destination::ActiveModel {
            id: NotSet,
            name: Set(new.name),
            kind: Set(new.kind),
            host: Set(text(&new.host)),
            settings: Set(new.settings),
            created: Set(micros(now)),
            claimed_by: Set(None),
            claimed_until: Set(None),
            delivered: Set(None),
            failing_since: Set(None),
            failures: Set(0),
            retry_at: Set(None),
            error: Set(None),
        };
        alert_destination::Entity::insert(row).exec(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Removes a destination with what waits for it. Tells whether there was one of that name.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn remove_alert_destination(&self, name: &str) -> Result<bool, ControlError> {
        let transaction = self.write().await?;
        let removed = alert_destination::Entity::delete_many()
            .filter(alert_destination::Column::Name.eq(name))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(removed.rows_affected > 0)
    }

    /// All destinations, by name.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn alert_destinations(&self) -> Result<Vec<AlertDestination>, ControlError> {
        let snapshot = self.read().await?;
        let rows = alert_destination::Entity::find()
            .order_by_asc(alert_destination::Column::Name)
            .all(&snapshot)
            .await?;
        let mut destinations = Vec::with_capacity(rows.len());
        for row in rows {
            let of_row = alert_delivery::Column::DestinationId.eq(row.id);
            let waiting = alert_delivery::Entity::find()
                .filter(of_row.clone())
                .filter(alert_delivery::Column::SetAside.is_null())
                .count(&snapshot)
                .await?;
            let all = alert_delivery::Entity::find().filter(of_row).count(&snapshot).await?;
            destinations.push(AlertDestination {
                id: row.id,
                name: row.name,
                kind: row.kind,
                host: row.host,
                settings: row.settings,
                created: instant(row.created)?,
                delivered: row.delivered.map(instant).transpose()?,
                failing_since: row.failing_since.map(instant).transpose()?,
                failures: unsigned(row.failures),
                retry_at: row.retry_at.map(instant).transpose()?,
                error: row.error,
                waiting,
                set_aside: all - waiting,
            });
        }
        snapshot.rollback().await?;
        Ok(destinations)
    }

    /// Lets one at a time deliver to a destination, until then at the longest; tells whether the
    /// caller is the one. Whoever is may ask again and again.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn claim_alert_destination(
        &self,
        id: i64,
        claimant: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<bool, ControlError> {
        use alert_destination::Column;
        let free = Condition::any()
            .add(Column::ClaimedUntil.is_null())
            .add(Column::ClaimedUntil.lte(micros(now)))
            .add(Column::ClaimedBy.eq(claimant));
        let transaction = self.write().await?;
        let claimed = alert_destination::Entity::update_many()
            .col_expr(Column::ClaimedBy, Expr::value(claimant))
            .col_expr(Column::ClaimedUntil, Expr::value(micros(until)))
            .filter(Column::Id.eq(id))
            .filter(free)
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(claimed.rows_affected > 0)
    }

    /// Gives a claim back.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn release_alert_destination(
        &self,
        id: i64,
        claimant: &str,
    ) -> Result<(), ControlError> {
        use alert_destination::Column;
        let transaction = self.write().await?;
        alert_destination::Entity::update_many()
            .col_expr(Column::ClaimedBy, Expr::value(Option::<String>::None))
            .col_expr(Column::ClaimedUntil, Expr::value(Option::<i64>::None))
            .filter(Column::Id.eq(id))
            .filter(Column::ClaimedBy.eq(claimant))
            .exec(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}
