//! The keys of many tenants: what was ordered for all of them, and whose could not be changed.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{
        ColumnDef, DbErr, ForeignKey, ForeignKeyAction, Index, MigrationName, MigrationTrait,
        SchemaManager, Table,
    },
};

pub(super) struct Fleet;

impl MigrationName for Fleet {
    fn name(&self) -> &str {
        "0008_fleet"
    }
}

#[async_trait]
impl MigrationTrait for Fleet {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let id = |name: &'static str| ColumnDef::new(name).big_integer().not_null().take();
        let orders = Table::create()
            .table("fleet_orders")
            .col(ColumnDef::new("id").big_integer().not_null().primary_key().auto_increment())
            .col(id("opened"))
            // Null: not all of it is done.
            .col(ColumnDef::new("closed").big_integer().null())
            .col(ColumnDef::new("wanted").json_binary().not_null())
            .take();
        manager.create_table(orders).await?;
        let mut of_tenant = ForeignKey::create()
            .name("rotation_failures_tenant_id")
            .from("rotation_failures", "tenant_id")
            .to("tenants", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .take();
        let failures = Table::create()
            .table("rotation_failures")
            .col(id("tenant_id"))
            .col(ColumnDef::new("function").text().not_null())
            .col(ColumnDef::new("failure").json_binary().not_null())
            .primary_key(Index::create().col("tenant_id").col("function"))
            .foreign_key(&mut of_tenant)
            .take();
        manager.create_table(failures).await
    }
}
