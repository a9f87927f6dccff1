//! What waits to be told.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_deliveries")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub destination_id: i64,
    pub delivery: String,
    pub subject: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub message: Json,
    pub queued: i64,
    pub attempts: i64,
    pub set_aside: Option<i64>,
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
