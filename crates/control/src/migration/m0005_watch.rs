//! The watch over ourselves: what is known of our keys at the provider, what its logs said, and what
//! that came to.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{
        ColumnDef, DbErr, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, Index,
        MigrationName, MigrationTrait, SchemaManager, Table,
    },
};

pub(super) struct Watch;

impl MigrationName for Watch {
    fn name(&self) -> &str {
        "0005_watch"
    }
}

#[async_trait]
impl MigrationTrait for Watch {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let id = |name: &'static str| ColumnDef::new(name).big_integer().not_null().take();
        let text = |name: &'static str| ColumnDef::new(name).text().not_null().take();
        let json = |name: &'static str| ColumnDef::new(name).json_binary().not_null().take();
        // Keys that the signer has destroyed stay: the logs name them for weeks.
        let keys = Table::create()
            .table("key_states")
            .col(id("tenant_id"))
            .col(text("key_id"))
            .col(text("function"))
            .col(json("state"))
            .primary_key(Index::create().col("tenant_id").col("key_id"))
            .foreign_key(&mut of_tenant("key_states"))
            .take();
        manager.create_table(keys).await?;
        let orders = Table::create()
            .table("rotation_orders")
            .col(id("tenant_id"))
            .col(text("function"))
            .col(json("rotation"))
            .primary_key(Index::create().col("tenant_id").col("function"))
            .foreign_key(&mut of_tenant("rotation_orders"))
            .take();
        manager.create_table(orders).await?;
        let records = Table::create()
            .table("log_records")
            .col(id("tenant_id"))
            .col(text("source"))
            // Of the log's own id, which has no bound on its length.
            .col(ColumnDef::new("digest").blob().not_null())
            .col(id("at"))
            .col(json("record"))
            .primary_key(Index::create().col("tenant_id").col("source").col("digest"))
            .foreign_key(&mut of_tenant("log_records"))
            .take();
        manager.create_table(records).await?;
        let by_time = Index::create()
            .name("log_records_at")
            .table("log_records")
            .col("tenant_id")
            .col("source")
            .col("at")
            .take();
        manager.create_index(by_time).await?;
        let watches = Table::create()
            .table("watches")
            .col(ColumnDef::new("tenant_id").big_integer().not_null().primary_key())
            .col(json("watch"))
            .foreign_key(&mut of_tenant("watches"))
            .take();
        manager.create_table(watches).await?;
        let incidents = Table::create()
            .table("incidents")
            .col(ColumnDef::new("id").big_integer().not_null().primary_key().auto_increment())
            .col(id("tenant_id"))
            .col(ColumnDef::new("digest").blob().not_null())
            .col(text("kind"))
            .col(text("severity"))
            .col(id("opened"))
            .col(id("changed"))
            // Null: open.
            .col(ColumnDef::new("closed").big_integer().null())
            .col(ColumnDef::new("note").text().null())
            .col(json("incident"))
            .foreign_key(&mut of_tenant("incidents"))
            .take();
        manager.create_table(incidents).await?;
        let once = Index::create()
            .name("incidents_once")
            .table("incidents")
            .col("tenant_id")
            .col("digest")
            .unique()
            .take();
        manager.create_index(once).await
    }
}

fn of_tenant(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_tenant_id"))
        .from(table, "tenant_id")
        .to("tenants", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}
