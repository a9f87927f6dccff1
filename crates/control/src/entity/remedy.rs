//! An order to take messages out of mailboxes, or to put them back.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "remedies")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub tenant_id: i64,
    #[sea_orm(column_type = "Blob")]
    pub subject_key: Vec<u8>,
    pub action: String,
    pub subject_kind: String,
    pub subject: String,
    pub mailbox: Option<String>,
    pub by_kind: String,
    pub by_name: String,
    pub why: String,
    pub ordered: i64,
    pub open_until: i64,
    pub closed: Option<i64>,
    pub searched: Option<i64>,
    pub next_search: Option<i64>,
    #[sea_orm(column_type = "JsonBinary")]
    pub unsearched: Json,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
