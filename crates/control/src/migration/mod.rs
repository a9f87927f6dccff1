//! The schema, as a list of changes that are never edited once released.

mod m0001_first;
mod m0002_kinds;
mod m0003_comparisons;
mod m0004_directory;
mod m0005_watch;
mod m0006_alerts;
mod m0007_setup;
mod m0008_fleet;
mod m0009_witnesses;
mod m0011_canaries;
mod m0012_remedies;
mod m0013_decisions;
mod m0014_habits;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first::First),
            Box::new(m0002_kinds::Kinds),
            Box::new(m0003_comparisons::Comparisons),
            Box::new(m0004_directory::Directory),
            Box::new(m0005_watch::Watch),
            Box::new(m0006_alerts::Alerts),
            Box::new(m0007_setup::Setup),
            Box::new(m0008_fleet::Fleet),
            Box::new(m0009_witnesses::Witnesses),
            Box::new(m0011_canaries::Canaries),
            Box::new(m0012_remedies::Remedies),
            Box::new(m0013_decisions::Decisions),
            Box::new(m0014_habits::Habits),
        ]
    }
}
