//! Which mailboxes of a directory are wanted, and the directory itself as it was last told.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{
        ColumnDef, DbErr, ForeignKey, ForeignKeyAction, Index, MigrationName, MigrationTrait,
        SchemaManager, Table,
    },
};

pub(super) struct Directory;

impl MigrationName for Directory {
    fn name(&self) -> &str {
        "0004_directory"
    }
}

#[async_trait]
impl MigrationTrait for Directory {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [
            // Null: all mailboxes.
            ("tenants", ColumnDef::new("selection").json_binary().null().take()),
            ("tenants", ColumnDef::new("directory_cursor").text().null().take()),
            ("tenants", ColumnDef::new("directory_began").big_integer().null().take()),
            // Its address changed since a snapshot last named it.
            ("mailboxes", ColumnDef::new("moved").boolean().not_null().default(false).take()),
        ] {
            let mut column = column;
            let change = Table::alter().table(table).add_column(&mut column).take();
            manager.alter_table(change).await?;
        }
        let text = |name: &'static str| ColumnDef::new(name).text().not_null().take();
        let users = Table::create()
            .table("directory_users")
            .col(ColumnDef::new("tenant_id").big_integer().not_null())
            .col(text("provider_id"))
            .col(text("address"))
            .col(text("display_name"))
            .col(ColumnDef::new("guest").boolean().not_null())
            // Null: not asked yet.
            .col(ColumnDef::new("kind").text().null())
            .primary_key(Index::create().col("tenant_id").col("provider_id"))
            .foreign_key(
                ForeignKey::create()
                    .name("directory_users_tenant_id")
                    .from("directory_users", "tenant_id")
                    .to("tenants", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .take();
        manager.create_table(users).await
    }
}
