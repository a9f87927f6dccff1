//! Verdicts that hold findings, or reasons why a part was not inspected.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "verdicts")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub mailbox_id: i64,
    #[sea_orm(column_type = "Blob")]
    pub digest: Vec<u8>,
    pub item: String,
    pub content_key: String,
    pub message_id: Option<String>,
    pub verdict: i16,
    pub score: f64,
    #[sea_orm(column_type = "JsonBinary")]
    pub not_inspected: Json,
    pub inspected: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
