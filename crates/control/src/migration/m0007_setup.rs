//! What a tenant was asked to be set up for.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{
        ColumnDef, DbErr, ForeignKey, ForeignKeyAction, MigrationName, MigrationTrait,
        SchemaManager, Table,
    },
};

pub(super) struct Setup;

impl MigrationName for Setup {
    fn name(&self) -> &str {
        "0007_setup"
    }
}

#[async_trait]
impl MigrationTrait for Setup {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of_tenant = ForeignKey::create()
            .name("setups_tenant_id")
            .from("setups", "tenant_id")
            .to("tenants", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .take();
        let setups = Table::create()
            .table("setups")
            .col(ColumnDef::new("tenant_id").big_integer().not_null().primary_key())
            .col(ColumnDef::new("setup").json_binary().not_null())
            .foreign_key(&mut of_tenant.clone())
            .take();
        manager.create_table(setups).await
    }
}
