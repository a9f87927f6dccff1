//! A canary and what became of it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "canaries")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub tenant_id: i64,
    #[sea_orm(column_type = "Blob")]
    pub digest: Vec<u8>,
    pub sender: String,
    pub recipient: String,
    pub begun: i64,
    pub deadline: i64,
    pub sent: Option<i64>,
    pub seen: Option<i64>,
    pub mailbox: Option<String>,
    pub item: Option<String>,
    pub inspected: bool,
    pub ended: Option<i64>,
    pub outcome: Option<String>,
    pub note: Option<String>,
    pub to_be_removed: bool,
    pub removed: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
