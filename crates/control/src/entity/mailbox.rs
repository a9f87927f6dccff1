//! One row per mailbox that a directory ever listed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "mailboxes")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub tenant_id: i64,
    pub provider_id: String,
    pub address: String,
    pub display_name: String,
    pub first_seen: i64,
    pub gone_since: Option<i64>,
    pub complete: bool,
    pub items: i64,
    pub folder_cursor: Option<String>,
    pub last_pass: Option<i64>,
    pub tree_compared: Option<i64>,
    pub moved: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
