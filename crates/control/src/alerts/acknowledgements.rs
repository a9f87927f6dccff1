use std::collections::HashMap;

use sea_orm::{ActiveValue::Set, DatabaseTransaction, EntityTrait, sea_query::OnConflict};
use time::OffsetDateTime;

use crate::{
    Control, ControlError,
    convert::{instant, micros, text},
    entity::alert_acknowledgement,
};

/// That somebody looks after what alerts are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Since when.
    pub at: OffsetDateTime,
    /// Who.
    pub who: String,
    /// Until when; `None`: until it is closed.
    pub until: Option<OffsetDateTime>,
    /// What that person said.
    pub note: String,
}

impl Control {
    /// Notes that somebody looks after a subject, in the place of who did before.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn acknowledge(
        &self,
        subject: &str,
        acknowledgement: Acknowledgement,
    ) -> Result<(), ControlError> {
        let Acknowledgement { at, who, until, note } = acknowledgement;
        let row = alert_acknowledgement::ActiveModel {
            subject: Set(subject.to_owned()),
            at: Set(micros(at)),
            who: Set(text(&who)),
            until: Set(until.map(micros)),
            note: Set(text(&note)),
        };
        use alert_acknowledgement::Column;
        let replace = OnConflict::column(Column::Subject)
            .update_columns([Column::At, Column::Who, Column::Until, Column::Note])
            .to_owned();
        let transaction = self.write().await?;
        alert_acknowledgement::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Who looks after what, by subject; also whose time has passed.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn acknowledgements(&self) -> Result<HashMap<String, Acknowledgement>, ControlError> {
        let rows = alert_acknowledgement::Entity::find().all(self.reader()).await?;
        let acknowledgement = |row: alert_acknowledgement::Model| {
            let (at, until) = (instant(row.at)?, row.until.map(instant).transpose()?);
            Ok((row.subject, Acknowledgement { at, who: row.who, until, note: row.note }))
        };
        rows.into_iter().map(acknowledgement).collect()
    }
}

/// What is closed nobody looks after any more: when it opens again, it is said again.
pub(crate) async fn forget_acknowledgement(
    transaction: &DatabaseTransaction,
    subject: &str,
) -> Result<(), ControlError> {
    let subject = subject.to_owned();
    alert_acknowledgement::Entity::delete_by_id(subject).exec(transaction).await?;
    Ok(())
}
