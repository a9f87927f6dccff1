//! A copy of a message that a remedy found, and what became of it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "remedy_copies")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub tenant_id: i64,
    #[sea_orm(column_type = "Blob")]
    pub digest: Vec<u8>,
    pub mailbox: String,
    pub address: String,
    pub item: String,
    #[sea_orm(column_type = "Blob")]
    pub message_digest: Vec<u8>,
    pub message_id: String,
    pub folder: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub marks: Json,
    pub state: String,
    pub wanted: String,
    pub wanted_by: i64,
    pub note: Option<String>,
    pub found: i64,
    pub seen: i64,
    pub changed: i64,
    pub tries: i32,
    pub due: Option<i64>,
    pub purge_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
