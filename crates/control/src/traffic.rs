use std::collections::BTreeMap;

use mailkeep_model::{Direction, TenantName, TrafficCount};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Alias, Expr, ExprTrait, OnConflict},
};

use crate::{
    Control, ControlError,
    convert::{signed, unsigned},
    entity::traffic,
    keys::pieces,
    tenants::tenant_key,
};

impl Control {
    /// Messages per minute and direction from one minute up to, not including, another (whole
    /// minutes since 1970-01-01T00:00Z), in order; minutes without messages are left out.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when the tenant is unknown.
    pub async fn traffic(
        &self,
        tenant: &TenantName,
        from_minute: i64,
        to_minute: i64,
    ) -> Result<Vec<TrafficCount>, ControlError> {
        let tenant_id = tenant_key(self.reader(), tenant).await?;
        let rows = traffic::Entity::find()
            .filter(traffic::Column::TenantId.eq(tenant_id))
            .filter(traffic::Column::Minute.gte(from_minute))
            .filter(traffic::Column::Minute.lt(to_minute))
            .order_by_asc(traffic::Column::Minute)
            .order_by_asc(traffic::Column::Direction)
            .all(self.reader())
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(TrafficCount {
                    minute: row.minute,
                    direction: direction(row.direction)?,
                    count: unsigned(row.messages),
                })
            })
            .collect()
    }
}

/// Adds to the counts.
pub(crate) async fn add_traffic(
    connection: &impl ConnectionTrait,
    tenant_id: i64,
    counts: &[TrafficCount],
) -> Result<(), ControlError> {
    // One row per minute and direction: PostgreSQL refuses to touch a row twice in one statement.
    let mut sums = BTreeMap::<(i64, i16), u64>::new();
    for count in counts.iter().filter(|count| count.count > 0) {
        *sums.entry((count.minute, number(count.direction))).or_default() += count.count;
    }
    let rows: Vec<_> = sums
        .into_iter()
        .map(|((minute, direction), messages)| traffic::ActiveModel {
            tenant_id: Set(tenant_id),
            minute: Set(minute),
            direction: Set(direction),
            messages: Set(signed(messages)),
        })
        .collect();
    for piece in pieces(&rows) {
        let add = OnConflict::columns([
            traffic::Column::TenantId,
            traffic::Column::Minute,
            traffic::Column::Direction,
        ])
        .value(
            traffic::Column::Messages,
            Expr::col((traffic::Entity, traffic::Column::Messages))
                .add(Expr::col((Alias::new("excluded"), traffic::Column::Messages))),
        )
        .to_owned();
        traffic::Entity::insert_many(piece.to_vec())
            .on_conflict(add)
            .exec_without_returning(connection)
            .await?;
    }
    Ok(())
}

const DIRECTIONS: [(i16, Direction); 3] =
    [(0, Direction::Inbound), (1, Direction::Outbound), (2, Direction::Internal)];

fn number(direction: Direction) -> i16 {
    match direction {
        Direction::Inbound => 0,
        Direction::Outbound => 1,
        Direction::Internal => 2,
    }
}

fn direction(number: i16) -> Result<Direction, ControlError> {
    DIRECTIONS
        .into_iter()
        .find_map(|(known, direction)| (known == number).then_some(direction))
        .ok_or_else(|| ControlError::Corrupt(format!("{number} is not a direction")))
}
