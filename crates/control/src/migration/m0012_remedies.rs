//! Remedies: messages that are taken out of mailboxes and put back.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{
        ColumnDef, DbErr, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, Index,
        IndexCreateStatement, MigrationName, MigrationTrait, SchemaManager, Table,
    },
};

pub(super) struct Remedies;

impl MigrationName for Remedies {
    fn name(&self) -> &str {
        "0012_remedies"
    }
}

#[async_trait]
impl MigrationTrait for Remedies {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let number = |name| ColumnDef::new(name).big_integer().not_null().take();
        let key =
            || ColumnDef::new("id").big_integer().not_null().primary_key().auto_increment().take();
        let bytes = |name| ColumnDef::new(name).blob().not_null().take();
        let text = |name| ColumnDef::new(name).text().not_null().take();
        let some_text = |name| ColumnDef::new(name).text().null().take();
        let time = |name| ColumnDef::new(name).big_integer().not_null().take();
        let some_time = |name| ColumnDef::new(name).big_integer().null().take();
        let json = |name| ColumnDef::new(name).json_binary().not_null().take();

        let remedies = Table::create()
            .table("remedies")
            .col(key())
            .col(number("tenant_id"))
            // Of what it is about, whatever is to be done with that.
            .col(bytes("subject_key"))
            .col(text("action"))
            .col(text("subject_kind"))
            .col(text("subject"))
            // Null: in all mailboxes.
            .col(some_text("mailbox"))
            .col(text("by_kind"))
            .col(text("by_name"))
            .col(text("why"))
            .col(time("ordered"))
            // Copies that come until then are dealt with, too.
            .col(time("open_until"))
            // When what it took was put back. Null: it was not.
            .col(some_time("closed"))
            // When all mailboxes were last looked through, and when they are next.
            .col(some_time("searched"))
            .col(some_time("next_search"))
            // Mailboxes that could not be looked through, with the reasons.
            .col(json("unsearched"))
            .foreign_key(&mut of("remedies", "tenant_id", "tenants"))
            .take();
        manager.create_table(remedies).await?;
        manager
            .create_index(index("remedies_by_subject", "remedies", &["tenant_id", "subject_key"]))
            .await?;
        manager.create_index(index("remedies_due", "remedies", &["next_search"])).await?;

        // The messages that a remedy is about, as far as they are known.
        let messages = Table::create()
            .table("remedy_messages")
            .col(key())
            .col(number("remedy_id"))
            .col(bytes("digest"))
            .col(text("message_id"))
            .foreign_key(&mut of("remedy_messages", "remedy_id", "remedies"))
            .take();
        manager.create_table(messages).await?;
        let once = index("remedy_messages_once", "remedy_messages", &["remedy_id", "digest"]);
        manager.create_index(unique(once)).await?;
        manager
            .create_index(index("remedy_messages_known", "remedy_messages", &["digest"]))
            .await?;

        let copies = Table::create()
            .table("remedy_copies")
            .col(key())
            .col(number("tenant_id"))
            // Of mailbox and item.
            .col(bytes("digest"))
            .col(text("mailbox"))
            .col(text("address"))
            .col(text("item"))
            .col(bytes("message_digest"))
            .col(text("message_id"))
            // Where it lay when it was found, and with which marks.
            .col(text("folder"))
            .col(json("marks"))
            .col(text("state"))
            // What the latest order wants it to be, and which that is.
            .col(text("wanted"))
            .col(number("wanted_by"))
            .col(some_text("note"))
            .col(time("found"))
            // When the provider said that it lies there. 0: nobody knows when it was so.
            .col(time("seen"))
            .col(time("changed"))
            .col(ColumnDef::new("tries").integer().not_null())
            // When something is to be done about it. Null: nothing is.
            .col(some_time("due"))
            // When it is deleted for good.
            .col(some_time("purge_at"))
            .foreign_key(&mut of("remedy_copies", "tenant_id", "tenants"))
            .take();
        manager.create_table(copies).await?;
        let once = index("remedy_copies_once", "remedy_copies", &["tenant_id", "digest"]);
        manager.create_index(unique(once)).await?;
        let same = ["tenant_id", "message_digest"];
        manager.create_index(index("remedy_copies_same", "remedy_copies", &same)).await?;
        manager.create_index(index("remedy_copies_due", "remedy_copies", &["due"])).await?;

        // Which copies an order found or took over.
        let reach = Table::create()
            .table("remedy_reach")
            .col(number("remedy_id"))
            .col(number("copy_id"))
            .primary_key(Index::create().col("remedy_id").col("copy_id"))
            .foreign_key(&mut of("remedy_reach", "remedy_id", "remedies"))
            .foreign_key(&mut of("remedy_reach", "copy_id", "remedy_copies"))
            .take();
        manager.create_table(reach).await?;

        // Which messages carry an attachment or a link, for a while: digests of both.
        let parts = Table::create()
            .table("message_parts")
            .col(key())
            .col(number("tenant_id"))
            .col(bytes("part"))
            .col(bytes("message_digest"))
            .col(text("message_id"))
            .col(time("seen"))
            .foreign_key(&mut of("message_parts", "tenant_id", "tenants"))
            .take();
        manager.create_table(parts).await?;
        let columns = ["tenant_id", "part", "message_digest"];
        manager
            .create_index(unique(index("message_parts_once", "message_parts", &columns)))
            .await?;
        manager.create_index(index("message_parts_old", "message_parts", &["seen"])).await?;

        // When a canary was taken away again, and whether it was to be.
        let canaries = Table::alter()
            .table("canaries")
            .add_column(ColumnDef::new("to_be_removed").boolean().not_null().default(false))
            .take();
        manager.alter_table(canaries).await?;
        let canaries = Table::alter().table("canaries").add_column(some_time("removed")).take();
        manager.alter_table(canaries).await
    }
}

fn index(name: &str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

fn unique(mut index: IndexCreateStatement) -> IndexCreateStatement {
    index.unique().take()
}

fn of(table: &'static str, column: &'static str, to: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_{column}"))
        .from(table, column)
        .to(to, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}
