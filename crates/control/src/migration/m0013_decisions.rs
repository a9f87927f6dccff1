//! What the policy said of messages, and what of its files cannot be used.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{
        ColumnDef, DbErr, ForeignKey, ForeignKeyAction, Index, MigrationName, MigrationTrait,
        SchemaManager, Table,
    },
};

pub(super) struct Decisions;

impl MigrationName for Decisions {
    fn name(&self) -> &str {
        "0013_decisions"
    }
}

#[async_trait]
impl MigrationTrait for Decisions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let text = |name| ColumnDef::new(name).text().not_null().take();
        let some_text = |name| ColumnDef::new(name).text().null().take();
        let number = |name| ColumnDef::new(name).big_integer().not_null().take();
        let decisions = Table::create()
            .table("decisions")
            .col(ColumnDef::new("id").big_integer().not_null().primary_key().auto_increment())
            .col(number("tenant_id"))
            .col(number("mailbox_id"))
            .col(text("item"))
            // 16 bytes for the item and its content: the row that a second decision replaces.
            .col(ColumnDef::new("digest").blob().not_null())
            // 16 bytes for the message in whatever mailboxes it is.
            .col(ColumnDef::new("message").blob().not_null())
            .col(some_text("message_id"))
            .col(text("sender"))
            // The strictest action, and whether anything follows from it.
            .col(text("action"))
            .col(ColumnDef::new("acted").boolean().not_null())
            // Why nothing does.
            .col(some_text("spared"))
            .col(ColumnDef::new("rules").json_binary().not_null())
            .col(number("received"))
            .col(number("decided"))
            // What people are told of as one. Null: nobody is told.
            .col(some_text("told_as"))
            // The first decision of those that are told as one.
            .col(ColumnDef::new("episode").big_integer().null())
            // The remedy that was ordered. Null: none, or not yet.
            .col(some_text("remedy"))
            .foreign_key(
                ForeignKey::create()
                    .name("decisions_mailbox_id")
                    .from("decisions", "mailbox_id")
                    .to("mailboxes", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .take();
        manager.create_table(decisions).await?;
        let once = Index::create()
            .name("decisions_once")
            .table("decisions")
            .col("mailbox_id")
            .col("digest")
            .unique()
            .take();
        manager.create_index(once).await?;
        let indices: [(&str, &[&str]); 4] = [
            ("decisions_message", &["tenant_id", "message"]),
            ("decisions_time", &["tenant_id", "decided"]),
            ("decisions_episode", &["episode"]),
            // What waits to be ordered is a handful among all that was ever decided.
            ("decisions_waiting", &["remedy", "acted", "action", "tenant_id"]),
        ];
        for (name, columns) in indices {
            let mut index = Index::create().name(name).table("decisions").take();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        let problems = Table::create()
            .table("load_problems")
            .col(ColumnDef::new("id").big_integer().not_null().primary_key().auto_increment())
            .col(text("path"))
            // The name in the settings: there may be no such tenant yet.
            .col(some_text("tenant"))
            .col(ColumnDef::new("line").big_integer().null())
            .col(text("problem"))
            .col(ColumnDef::new("kept").boolean().not_null())
            .col(number("since"))
            // Since when it is no more: kept for a while, for who has to be told.
            .col(ColumnDef::new("solved").big_integer().null())
            .take();
        manager.create_table(problems).await
    }
}
