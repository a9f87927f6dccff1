//! One row per organisation.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tenants")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub provider: String,
    pub directory_id: String,
    pub authority: String,
    pub graph: String,
    pub ca_pem: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub domains: Json,
    pub created: i64,
    pub catalog_head: Option<String>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub selection: Option<Json>,
    pub directory_cursor: Option<String>,
    pub directory_began: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
