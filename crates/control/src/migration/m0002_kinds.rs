//! Calendars and contacts beside mail: what folders and items are. What is there already is mail.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{
        ColumnDef, DbErr, MigrationName, MigrationTrait, SchemaManager, Table, TableAlterStatement,
    },
};

pub(super) struct Kinds;

impl MigrationName for Kinds {
    fn name(&self) -> &str {
        "0002_kinds"
    }
}

#[async_trait]
impl MigrationTrait for Kinds {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, kind) in
            [("folders", "mail"), ("items", "message"), ("skipped_items", "message")]
        {
            manager.alter_table(with_kind(table, kind)).await?;
        }
        Ok(())
    }
}

fn with_kind(table: &'static str, kind: &'static str) -> TableAlterStatement {
    let mut column = ColumnDef::new("kind");
    column.text().not_null().default(kind);
    Table::alter().table(table).add_column(column).take()
}
