//! Whom alerts are told to.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_destinations")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub kind: String,
    pub host: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub settings: Json,
    pub created: i64,
    pub claimed_by: Option<String>,
    pub claimed_until: Option<i64>,
    pub delivered: Option<i64>,
    pub failing_since: Option<i64>,
    pub failures: i64,
    pub retry_at: Option<i64>,
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
