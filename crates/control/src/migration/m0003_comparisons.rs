//! When folders were last read from their beginning, and how far the provider's count of their items is
//! from ours.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::{ColumnDef, DbErr, Expr, MigrationName, MigrationTrait, Query, SchemaManager, Table},
};
use time::OffsetDateTime;

use crate::convert::micros;

pub(super) struct Comparisons;

impl MigrationName for Comparisons {
    fn name(&self) -> &str {
        "0003_comparisons"
    }
}

#[async_trait]
impl MigrationTrait for Comparisons {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let number = |name: &'static str| ColumnDef::new(name).big_integer().take();
        let counted = |name| number(name).not_null().default(0).take();
        for (table, column) in [
            ("mailboxes", number("tree_compared").null().take()),
            ("folders", number("compared").null().take()),
            ("folders", number("surplus").null().take()),
            ("folders", counted("explained_surplus")),
            ("folders", counted("doubts")),
        ] {
            let mut column = column;
            let change = Table::alter().table(table).add_column(&mut column).take();
            manager.alter_table(change).await?;
        }
        // What is there counts as compared now: not everything at once on the first day.
        let now = micros(OffsetDateTime::now_utc());
        for (table, column) in [("mailboxes", "tree_compared"), ("folders", "compared")] {
            let update = Query::update().table(table).value(column, Expr::value(now)).take();
            manager.execute(update).await?;
        }
        Ok(())
    }
}
