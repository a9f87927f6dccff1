//! What a destination was told last of an open alert.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alerts_told")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub destination_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub told: Json,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
