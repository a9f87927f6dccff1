//! Which copies a remedy is about.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "remedy_reach")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub remedy_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub copy_id: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
