//! The first schema. One source for SQLite and PostgreSQL: integers, booleans, text, blobs and
//! JSON only, no SQL text of our own.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{
        ColumnDef, ConditionalStatement, DbErr, Expr, ExprTrait, ForeignKey, ForeignKeyAction,
        Index, MigrationName, MigrationTrait, SchemaManager, Table, TableCreateStatement,
    },
};

pub(super) struct First;

impl MigrationName for First {
    // Kept in the database; not derived from the file's name, so that a file can be moved.
    fn name(&self) -> &str {
        "0001_first"
    }
}

#[async_trait]
impl MigrationTrait for First {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [tenants(), tenant_functions(), mailboxes(), folders(), items()] {
            manager.create_table(table).await?;
        }
        for table in [snapshots(), snapshot_mailboxes(), skipped_items(), verdicts(), findings()] {
            manager.create_table(table).await?;
        }
        for table in [traffic(), audit(), passes()] {
            manager.create_table(table).await?;
        }
        unique(manager, "tenants", &["name"]).await?;
        unique(manager, "mailboxes", &["tenant_id", "provider_id"]).await?;
        unique(manager, "folders", &["mailbox_id", "provider_id"]).await?;
        unique(manager, "items", &["mailbox_id", "digest"]).await?;
        unique(manager, "snapshots", &["tenant_id", "snapshot"]).await?;
        unique(manager, "skipped_items", &["mailbox_id", "digest"]).await?;
        unique(manager, "verdicts", &["mailbox_id", "digest"]).await?;
        index(manager, "items", &["folder_id"]).await?;
        index(manager, "snapshot_mailboxes", &["mailbox_id"]).await?;
        index(manager, "passes", &["tenant_id"]).await?;
        // Small whatever the catalog's size: almost every item was inspected.
        manager
            .create_index(
                Index::create()
                    .name("items_uninspected")
                    .table("items")
                    .col("mailbox_id")
                    .and_where(Expr::col("inspected").not())
                    .take(),
            )
            .await
    }
}

fn tenants() -> TableCreateStatement {
    Table::create()
        .table("tenants")
        .col(id())
        .col(text("name"))
        .col(text("provider"))
        .col(text("directory_id"))
        .col(text("authority"))
        .col(text("graph"))
        .col(optional_text("ca_pem"))
        .col(json("domains"))
        .col(number("created"))
        // The snapshot that the rows of `items` equal; null while there is none or while the
        // catalog is being rebuilt.
        .col(optional_text("catalog_head"))
        .take()
}

fn tenant_functions() -> TableCreateStatement {
    Table::create()
        .table("tenant_functions")
        .col(number("tenant_id"))
        .col(text("function"))
        .col(text("client_id"))
        .col(text("key_id"))
        .col(text("thumbprint"))
        .primary_key(Index::create().col("tenant_id").col("function"))
        .foreign_key(&mut belongs("tenant_functions", "tenant_id", "tenants"))
        .take()
}

fn mailboxes() -> TableCreateStatement {
    Table::create()
        .table("mailboxes")
        .col(id())
        .col(number("tenant_id"))
        .col(text("provider_id"))
        .col(text("address"))
        .col(text("display_name"))
        .col(number("first_seen"))
        .col(optional_number("gone_since"))
        .col(truth("complete"))
        // How many rows of `items` it has; counting them would cost more with every snapshot.
        .col(number("items"))
        .col(optional_text("folder_cursor"))
        .col(optional_number("last_pass"))
        .foreign_key(&mut belongs("mailboxes", "tenant_id", "tenants"))
        .take()
}

fn folders() -> TableCreateStatement {
    Table::create()
        .table("folders")
        .col(id())
        .col(number("mailbox_id"))
        .col(text("provider_id"))
        .col(optional_text("parent"))
        .col(text("name"))
        .col(optional_text("well_known"))
        // False: no longer listed by the provider, kept because items still lie in it.
        .col(truth("present"))
        .col(optional_text("cursor"))
        .foreign_key(&mut belongs("folders", "mailbox_id", "mailboxes"))
        .take()
}

fn items() -> TableCreateStatement {
    Table::create()
        .table("items")
        .col(id())
        .col(number("mailbox_id"))
        // Stands for `item` in the index: see `keys::digest`.
        .col(blob("digest"))
        .col(number("folder_id"))
        .col(text("item"))
        .col(text("leaf"))
        .col(text("name"))
        .col(text("content_key"))
        .col(text("meta_key"))
        .col(number("bytes"))
        // Whether the content that `content_key` names was inspected.
        .col(truth("inspected"))
        .foreign_key(&mut belongs("items", "mailbox_id", "mailboxes"))
        // Without a cascade: a folder cannot go while the catalog says that items lie in it.
        .foreign_key(
            ForeignKey::create()
                .name("items_folder_id")
                .from("items", "folder_id")
                .to("folders", "id")
                .on_delete(ForeignKeyAction::NoAction),
        )
        .take()
}

fn snapshots() -> TableCreateStatement {
    Table::create()
        .table("snapshots")
        .col(id())
        .col(number("tenant_id"))
        .col(text("snapshot"))
        .col(number("time"))
        .col(truth("partial"))
        .col(number("bytes_added"))
        .col(number("items"))
        .foreign_key(&mut belongs("snapshots", "tenant_id", "tenants"))
        .take()
}

fn snapshot_mailboxes() -> TableCreateStatement {
    Table::create()
        .table("snapshot_mailboxes")
        .col(number("snapshot_id"))
        .col(number("mailbox_id"))
        .col(number("put"))
        .col(number("removed"))
        .primary_key(Index::create().col("snapshot_id").col("mailbox_id"))
        .foreign_key(&mut belongs("snapshot_mailboxes", "snapshot_id", "snapshots"))
        .foreign_key(&mut belongs("snapshot_mailboxes", "mailbox_id", "mailboxes"))
        .take()
}

fn skipped_items() -> TableCreateStatement {
    Table::create()
        .table("skipped_items")
        .col(id())
        .col(number("mailbox_id"))
        .col(blob("digest"))
        .col(text("item"))
        // The provider's identifier: the folder need not be known here.
        .col(optional_text("folder"))
        .col(text("error"))
        .col(number("attempts"))
        .col(number("first_seen"))
        .col(number("last_tried"))
        .foreign_key(&mut belongs("skipped_items", "mailbox_id", "mailboxes"))
        .take()
}

fn verdicts() -> TableCreateStatement {
    Table::create()
        .table("verdicts")
        .col(id())
        .col(number("mailbox_id"))
        // Of item and content key together.
        .col(blob("digest"))
        .col(text("item"))
        .col(text("content_key"))
        .col(optional_text("message_id"))
        // 0 clean … 3 malicious, so that "at least suspicious" is a comparison.
        .col(ColumnDef::new("verdict").small_integer().not_null())
        .col(ColumnDef::new("score").double().not_null())
        .col(json("not_inspected"))
        .col(number("inspected"))
        .foreign_key(&mut belongs("verdicts", "mailbox_id", "mailboxes"))
        .take()
}

fn findings() -> TableCreateStatement {
    Table::create()
        .table("findings")
        .col(number("verdict_id"))
        .col(ColumnDef::new("position").integer().not_null())
        .col(text("detector"))
        .col(text("category"))
        .col(text("entity"))
        .col(text("severity"))
        .col(text("field"))
        .col(number("start_at"))
        .col(number("end_at"))
        .col(text("evidence"))
        .primary_key(Index::create().col("verdict_id").col("position"))
        .foreign_key(&mut belongs("findings", "verdict_id", "verdicts"))
        .take()
}

fn traffic() -> TableCreateStatement {
    Table::create()
        .table("traffic")
        .col(number("tenant_id"))
        .col(number("minute"))
        .col(ColumnDef::new("direction").small_integer().not_null())
        .col(number("messages"))
        .primary_key(Index::create().col("tenant_id").col("minute").col("direction"))
        .foreign_key(&mut belongs("traffic", "tenant_id", "tenants"))
        .take()
}

fn audit() -> TableCreateStatement {
    Table::create()
        .table("audit")
        .col(id())
        .col(number("time"))
        .col(text("actor"))
        .col(text("action"))
        // The name, not the row: an entry outlives its tenant.
        .col(optional_text("tenant"))
        .col(json("details"))
        .take()
}

fn passes() -> TableCreateStatement {
    Table::create()
        .table("passes")
        .col(id())
        .col(number("tenant_id"))
        .col(number("started"))
        .col(optional_number("finished"))
        .col(optional_text("outcome"))
        .col(json("counts"))
        .col(json("errors"))
        .foreign_key(&mut belongs("passes", "tenant_id", "tenants"))
        .take()
}

async fn unique(
    manager: &SchemaManager<'_>,
    table: &'static str,
    columns: &[&'static str],
) -> Result<(), DbErr> {
    let mut index = Index::create();
    index.name(format!("{table}_by_{}", columns.join("_"))).table(table).unique();
    for column in columns {
        index.col(*column);
    }
    manager.create_index(index).await
}

async fn index(
    manager: &SchemaManager<'_>,
    table: &'static str,
    columns: &[&'static str],
) -> Result<(), DbErr> {
    let mut index = Index::create();
    index.name(format!("{table}_by_{}", columns.join("_"))).table(table);
    for column in columns {
        index.col(*column);
    }
    manager.create_index(index).await
}

/// A row that goes with the row that it refers to.
fn belongs(
    table: &'static str,
    column: &'static str,
    to: &'static str,
) -> sea_orm_migration::sea_query::ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_{column}"))
        .from(table, column)
        .to(to, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}

fn id() -> ColumnDef {
    ColumnDef::new("id").big_integer().not_null().auto_increment().primary_key().take()
}

fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

fn optional_text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().null().take()
}

fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

fn optional_number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().null().take()
}

fn truth(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().take()
}

fn blob(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().not_null().take()
}

fn json(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).json_binary().not_null().take()
}
