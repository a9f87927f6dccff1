//! Whom alerts are told to, what waits to be told, and who looks after what.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{
        ColumnDef, DbErr, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, Index,
        MigrationName, MigrationTrait, SchemaManager, Table,
    },
};

pub(super) struct Alerts;

impl MigrationName for Alerts {
    fn name(&self) -> &str {
        "0006_alerts"
    }
}

#[async_trait]
impl MigrationTrait for Alerts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let number = |name: &'static str| ColumnDef::new(name).big_integer().not_null().take();
        let moment = |name: &'static str| ColumnDef::new(name).big_integer().null().take();
        let text = |name: &'static str| ColumnDef::new(name).text().not_null().take();
        let some_text = |name: &'static str| ColumnDef::new(name).text().null().take();
        let json = |name: &'static str| ColumnDef::new(name).json_binary().not_null().take();
        let id =
            || ColumnDef::new("id").big_integer().not_null().primary_key().auto_increment().take();
        // Where exactly it is, with what secret, the signer keeps.
        let destinations = Table::create()
            .table("alert_destinations")
            .col(id())
            .col(ColumnDef::new("name").text().not_null().unique_key())
            .col(text("kind"))
            .col(text("host"))
            .col(json("settings"))
            .col(number("created"))
            // Who delivers to it now, and until when at the longest.
            .col(some_text("claimed_by"))
            .col(moment("claimed_until"))
            .col(moment("delivered"))
            // Null: the last delivery arrived.
            .col(moment("failing_since"))
            .col(number("failures"))
            .col(moment("retry_at"))
            .col(some_text("error"))
            .take();
        manager.create_table(destinations).await?;
        let deliveries = Table::create()
            .table("alert_deliveries")
            .col(id())
            .col(number("destination_id"))
            .col(text("delivery"))
            .col(text("subject"))
            .col(json("message"))
            .col(number("queued"))
            .col(number("attempts"))
            // Not null: given up.
            .col(moment("set_aside"))
            .col(some_text("error"))
            .foreign_key(&mut of_destination("alert_deliveries"))
            .take();
        manager.create_table(deliveries).await?;
        let in_order = Index::create()
            .name("alert_deliveries_in_order")
            .table("alert_deliveries")
            .col("destination_id")
            .col("id")
            .take();
        manager.create_index(in_order).await?;
        let told = Table::create()
            .table("alerts_told")
            .col(number("destination_id"))
            .col(text("subject"))
            .col(json("told"))
            .primary_key(Index::create().col("destination_id").col("subject"))
            .foreign_key(&mut of_destination("alerts_told"))
            .take();
        manager.create_table(told).await?;
        let acknowledgements = Table::create()
            .table("alert_acknowledgements")
            .col(ColumnDef::new("subject").text().not_null().primary_key())
            .col(number("at"))
            .col(text("who"))
            // Null: until it is closed.
            .col(moment("until"))
            .col(text("note"))
            .take();
        manager.create_table(acknowledgements).await
    }
}

fn of_destination(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_destination_id"))
        .from(table, "destination_id")
        .to("alert_destinations", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}
