//! The catalog: one row per item of the newest committed snapshot.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "items")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub mailbox_id: i64,
    #[sea_orm(column_type = "Blob")]
    pub digest: Vec<u8>,
    pub folder_id: i64,
    pub item: String,
    pub kind: String,
    pub leaf: String,
    pub name: String,
    pub content_key: String,
    pub meta_key: String,
    pub bytes: i64,
    pub inspected: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
