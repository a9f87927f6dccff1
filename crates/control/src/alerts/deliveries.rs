use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, DatabaseTransaction, EntityTrait, ExprTrait, ModelTrait, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, OnConflict},
};
use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    convert::{instant, micros, short_text, unsigned},
    entity::{alert_delivery, alert_destination, alert_told},
};

/// Deliveries of a destination that were given up and are still kept, for people to look at.
const MOST_SET_ASIDE: u64 = 100;
/// Bytes that are kept of why a delivery failed.
const LONGEST_ERROR: usize = 500;

/// Something to tell a destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// What it is about.
    pub subject: String,
    /// Names this delivery for ever, however often it is sent.
    pub delivery: String,
    /// What to say.
    pub message: Value,
    /// What the destination knows then; `None`: nothing that it would have to be reminded of.
    pub told: Option<Value>,
}

/// Something that waits to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedDelivery {
    /// Its number; smaller ones go first.
    pub id: i64,
    /// Names it for ever, however often it is sent.
    pub delivery: String,
    /// What it is about.
    pub subject: String,
    /// What to say.
    pub message: Value,
    /// Since when it waits.
    pub queued: OffsetDateTime,
    /// How often it was tried.
    pub attempts: u64,
}

/// What came of an attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It arrived.
    Arrived,
    /// It did not.
    Failed {
        /// Why, without any secret.
        error: String,
        /// When to try again; what waits behind it waits as well.
        retry_at: OffsetDateTime,
    },
    /// It will never be taken; the next one is tried at once.
    GivenUp {
        /// Why, without any secret.
        error: String,
    },
}

impl Control {
    /// What a destination was told last of everything that was open then, by subject.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn alerts_told(
        &self,
        destination: i64,
    ) -> Result<Vec<(String, Value)>, ControlError> {
        let rows = alert_told::Entity::find()
            .filter(alert_told::Column::DestinationId.eq(destination))
            .all(self.reader())
            .await?;
        Ok(rows.into_iter().map(|row| (row.subject, row.told)).collect())
    }

    /// The subjects of what waits for a destination, the oldest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn alerts_waiting(&self, destination: i64) -> Result<Vec<String>, ControlError> {
        let subjects = alert_delivery::Entity::find()
            .select_only()
            .column(alert_delivery::Column::Subject)
            .filter(alert_delivery::Column::DestinationId.eq(destination))
            .filter(alert_delivery::Column::SetAside.is_null())
            .order_by_asc(alert_delivery::Column::Id)
            .into_tuple();
        Ok(subjects.all(self.reader()).await?)
    }

    /// Queues what is to be told, and notes that it is. Nothing happens, and `false` comes back, when
    /// the destination is claimed by somebody else by now, or gone.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn queue_alerts(
        &self,
        destination: i64,
        claimant: &str,
        tellings: Vec<Telling>,
        now: OffsetDateTime,
    ) -> Result<bool, ControlError> {
        let transaction = self.write().await?;
        if claimed(&transaction, destination, claimant).await?.is_none() {
            return Ok(false);
        }
        for Telling { subject, delivery, message, told } in tellings {
            let queued = alert_delivery::ActiveModel {
                id: NotSet,
                destination_id: Set(destination),
                delivery: Set(delivery),
                subject: Set(subject.clone()),
                message: Set(message),
                queued: Set(micros(now)),
                attempts: Set(0),
                set_aside: Set(None),
                error: Set(None),
            };
            alert_delivery::Entity::insert(queued).exec(&transaction).await?;
            let Some(told) = told else {
                let key = (destination, subject);
                alert_told::Entity::delete_by_id(key).exec(&transaction).await?;
                continue;
            };
            use alert_told::Column;
            let row = alert_told::ActiveModel {
                destination_id: Set(destination),
                subject: Set(subject),
                told: Set(told),
            };
            let replace = OnConflict::columns([Column::DestinationId, Column::Subject])
                .update_column(Column::Told)
                .to_owned();
            alert_told::Entity::insert(row)
                .on_conflict(replace)
                .exec_without_returning(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// What goes next to a destination.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn next_alert(
        &self,
        destination: i64,
    ) -> Result<Option<QueuedDelivery>, ControlError> {
        let row = alert_delivery::Entity::find()
            .filter(alert_delivery::Column::DestinationId.eq(destination))
            .filter(alert_delivery::Column::SetAside.is_null())
            .order_by_asc(alert_delivery::Column::Id)
            .one(self.reader())
            .await?;
        let delivery = |row: alert_delivery::Model| {
            Ok(QueuedDelivery {
                id: row.id,
                delivery: row.delivery,
                subject: row.subject,
                message: row.message,
                queued: instant(row.queued)?,
                attempts: unsigned(row.attempts),
            })
        };
        row.map(delivery).transpose()
    }

    /// Notes what came of an attempt.
    ///
    /// # Errors
    ///
    /// When the database cannot be written; the delivery will be made once more then.
    pub async fn note_alert_attempt(
        &self,
        destination: i64,
        delivery: i64,
        attempt: Attempt,
        now: OffsetDateTime,
    ) -> Result<(), ControlError> {
        use alert_destination::Column;
        let transaction = self.write().await?;
        let of_delivery = alert_delivery::Column::Id.eq(delivery);
        let tried = alert_delivery::Entity::update_many().filter(of_delivery.clone()).col_expr(
            alert_delivery::Column::Attempts,
            Expr::col(alert_delivery::Column::Attempts).add(1),
        );
        let health = alert_destination::Entity::update_many().filter(Column::Id.eq(destination));
        match attempt {
            Attempt::Arrived => {
                alert_delivery::Entity::delete_many()
                    .filter(of_delivery)
                    .exec(&transaction)
                    .await?;
                let healthy = health
                    .col_expr(Column::Delivered, Expr::value(micros(now)))
                    .col_expr(Column::FailingSince, Expr::value(Option::<i64>::None))
                    .col_expr(Column::Failures, Expr::value(0_i64))
                    .col_expr(Column::RetryAt, Expr::value(Option::<i64>::None))
                    .col_expr(Column::Error, Expr::value(Option::<String>::None));
                healthy.exec(&transaction).await?;
            }
            Attempt::Failed { error, retry_at } => {
                tried.exec(&transaction).await?;
                let since = Expr::col(Column::FailingSince).if_null(micros(now));
                let failing = health
                    .col_expr(Column::FailingSince, since)
                    .col_expr(Column::Failures, Expr::col(Column::Failures).add(1))
                    .col_expr(Column::RetryAt, Expr::value(micros(retry_at)))
                    .col_expr(Column::Error, Expr::value(short_text(&error, LONGEST_ERROR)));
                failing.exec(&transaction).await?;
            }
            Attempt::GivenUp { error } => {
                let given_up = tried
                    .col_expr(alert_delivery::Column::SetAside, Expr::value(micros(now)))
                    .col_expr(
                        alert_delivery::Column::Error,
                        Expr::value(short_text(&error, LONGEST_ERROR)),
                    );
                given_up.exec(&transaction).await?;
                forget_oldest_set_aside(&transaction, destination).await?;
                let again = health
                    .col_expr(Column::Failures, Expr::value(0_i64))
                    .col_expr(Column::RetryAt, Expr::value(Option::<i64>::None))
                    .col_expr(Column::Error, Expr::value(short_text(&error, LONGEST_ERROR)));
                again.exec(&transaction).await?;
            }
        }
        Ok(transaction.commit().await?)
    }
}

/// The destination, if it is still the claimant's.
async fn claimed(
    transaction: &DatabaseTransaction,
    destination: i64,
    claimant: &str,
) -> Result<Option<alert_destination::Model>, ControlError> {
    let row = alert_destination::Entity::find_by_id(destination).one(transaction).await?;
    Ok(row.filter(|row| row.claimed_by.as_deref() == Some(claimant)))
}

async fn forget_oldest_set_aside(
    transaction: &DatabaseTransaction,
    destination: i64,
) -> Result<(), ControlError> {
    let too_many = alert_delivery::Entity::find()
        .filter(alert_delivery::Column::DestinationId.eq(destination))
        .filter(alert_delivery::Column::SetAside.is_not_null())
        .order_by_desc(alert_delivery::Column::Id)
        .offset(MOST_SET_ASIDE)
        .limit(MOST_SET_ASIDE)
        .all(transaction)
        .await?;
    for row in too_many {
        row.delete(transaction).await?;
    }
    Ok(())
}
