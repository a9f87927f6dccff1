//! What the policy said of a message in a mailbox.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "decisions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub tenant_id: i64,
    pub mailbox_id: i64,
    pub item: String,
    #[sea_orm(column_type = "Blob")]
    pub digest: Vec<u8>,
    #[sea_orm(column_type = "Blob")]
    pub message: Vec<u8>,
    pub message_id: Option<String>,
    pub sender: String,
    pub action: String,
    pub acted: bool,
    pub spared: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub rules: Json,
    pub received: i64,
    pub decided: i64,
    pub told_as: Option<String>,
    pub episode: Option<i64>,
    pub remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
