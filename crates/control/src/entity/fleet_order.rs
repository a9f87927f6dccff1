//! A change of the keys of many tenants that was ordered.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_orders")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub opened: i64,
    pub closed: Option<i64>,
    #[sea_orm(column_type = "JsonBinary")]
    pub wanted: Json,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
