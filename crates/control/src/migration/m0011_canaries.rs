//! Canaries: messages of ours that have to come through the backup.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{
        ColumnDef, DbErr, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, Index,
        MigrationName, MigrationTrait, SchemaManager, Table,
    },
};

pub(super) struct Canaries;

impl MigrationName for Canaries {
    fn name(&self) -> &str {
        "0011_canaries"
    }
}

#[async_trait]
impl MigrationTrait for Canaries {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let plans = Table::create()
            .table("canary_plans")
            .col(ColumnDef::new("tenant_id").big_integer().not_null().primary_key())
            .col(ColumnDef::new("plan").json_binary().not_null())
            .foreign_key(&mut of_tenant("canary_plans"))
            .take();
        manager.create_table(plans).await?;
        let text = |name| ColumnDef::new(name).text().not_null().take();
        let some_text = |name| ColumnDef::new(name).text().null().take();
        let time = |name| ColumnDef::new(name).big_integer().not_null().take();
        let some_time = |name| ColumnDef::new(name).big_integer().null().take();
        let canaries = Table::create()
            .table("canaries")
            .col(ColumnDef::new("id").big_integer().not_null().primary_key().auto_increment())
            .col(ColumnDef::new("tenant_id").big_integer().not_null())
            // SHA-256 of the mark.
            .col(ColumnDef::new("digest").blob().not_null())
            .col(text("sender"))
            .col(text("recipient"))
            // Written before the message goes out; what was not sent by then may have been.
            .col(time("begun"))
            .col(time("deadline"))
            // When the provider took it. Null: it did not, or nobody knows.
            .col(some_time("sent"))
            // When it was read in its recipient's mailbox, and as which item.
            .col(some_time("seen"))
            .col(some_text("mailbox"))
            .col(some_text("item"))
            .col(ColumnDef::new("inspected").boolean().not_null())
            // When it was decided what became of it. Null: it is under way.
            .col(some_time("ended"))
            .col(some_text("outcome"))
            .col(some_text("note"))
            .foreign_key(&mut of_tenant("canaries"))
            .take();
        manager.create_table(canaries).await?;
        let once = Index::create()
            .name("canaries_once")
            .table("canaries")
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
