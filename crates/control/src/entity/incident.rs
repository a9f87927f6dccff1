//! Something that somebody did as us.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "incidents")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub tenant_id: i64,
    #[sea_orm(column_type = "Blob")]
    pub digest: Vec<u8>,
    pub kind: String,
    pub severity: String,
    pub opened: i64,
    pub changed: i64,
    pub closed: Option<i64>,
    pub note: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub incident: Json,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
