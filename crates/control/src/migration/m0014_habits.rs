//! What mailboxes are used to.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{
        ColumnDef, DbErr, ForeignKey, ForeignKeyAction, MigrationName, MigrationTrait,
        SchemaManager, Table,
    },
};

pub(super) struct Habits;

impl MigrationName for Habits {
    fn name(&self) -> &str {
        "0014_habits"
    }
}

#[async_trait]
impl MigrationTrait for Habits {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of_mailbox = ForeignKey::create()
            .name("habits_mailbox_id")
            .from("habits", "mailbox_id")
            .to("mailboxes", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .take();
        let habits = Table::create()
            .table("habits")
            .col(ColumnDef::new("mailbox_id").big_integer().not_null().primary_key())
            .col(ColumnDef::new("habits").json_binary().not_null())
            .foreign_key(&mut of_mailbox.clone())
            .take();
        manager.create_table(habits).await
    }
}
