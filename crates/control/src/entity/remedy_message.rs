//! A message that a remedy is about.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "remedy_messages")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub remedy_id: i64,
    #[sea_orm(column_type = "Blob")]
    pub digest: Vec<u8>,
    pub message_id: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
