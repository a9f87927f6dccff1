//! One row per folder; a folder that is no longer listed stays while items lie in it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "folders")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub mailbox_id: i64,
    pub provider_id: String,
    pub parent: Option<String>,
    pub name: String,
    pub kind: String,
    pub well_known: Option<String>,
    pub present: bool,
    pub cursor: Option<String>,
    pub compared: Option<i64>,
    pub surplus: Option<i64>,
    pub explained_surplus: i64,
    pub doubts: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
