//! Items that could not be read or written, to be tried again.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "skipped_items")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub mailbox_id: i64,
    #[sea_orm(column_type = "Blob")]
    pub digest: Vec<u8>,
    pub item: String,
    pub kind: String,
    pub folder: Option<String>,
    pub error: String,
    pub attempts: i64,
    pub first_seen: i64,
    pub last_tried: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
