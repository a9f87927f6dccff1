//! One row per finding of a verdict.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "findings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub verdict_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    pub detector: String,
    pub category: String,
    pub entity: String,
    pub severity: String,
    pub field: String,
    pub start_at: i64,
    pub end_at: i64,
    pub evidence: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
