//! How far the outside witnesses of the ledger know it.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{ColumnDef, DbErr, MigrationName, MigrationTrait, SchemaManager, Table},
};

pub(super) struct Witnesses;

impl MigrationName for Witnesses {
    fn name(&self) -> &str {
        "0009_witnesses"
    }
}

#[async_trait]
impl MigrationTrait for Witnesses {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let witnesses = Table::create()
            .table("witnesses")
            .col(ColumnDef::new("name").text().not_null().primary_key())
            .col(ColumnDef::new("state").json_binary().not_null())
            .take();
        manager.create_table(witnesses).await
    }
}
