//! What of the files that inspection is given cannot be used: written by who loads them, read by who
//! tells people.

use mailkeep_model::TenantName;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    EntityTrait, QueryOrder,
};
use time::{Duration, OffsetDateTime};

use crate::{
    Control, ControlError,
    convert::{instant, micros, short_text, signed, unsigned},
    entity::load_problem,
};

/// Bytes of a problem that are kept.
const PROBLEM: usize = 1_000;

/// Why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLoadProblem {
    /// The file.
    pub path: String,
    /// Whose it is, as the settings say; `None` when it is used for whoever has no own.
    pub tenant: Option<TenantName>,
    /// Where in it, counted from 1.
    pub line: Option<u64>,
    /// What is wrong.
    pub problem: String,
    /// Whether what was read of it before is still used.
    pub kept: bool,
    /// Since when.
    pub since: OffsetDateTime,
    /// Since when it is no more.
    pub solved: Option<OffsetDateTime>,
}

/// How long it is known that something was wrong and is no more.
const KEPT: Duration = Duration::days(30);

fn stored_path(problem: &StoredLoadProblem) -> String {
    problem.path.replace('\0', "")
}

/// Whether both are about the same file of the same tenant.
fn is_same(row: &load_problem::Model, problem: &StoredLoadProblem) -> bool {
    row.path == stored_path(problem)
        && row.tenant.as_deref() == problem.tenant.as_ref().map(TenantName::as_str)
}

impl Control {
    /// Replaces what is known to be wrong. What was wrong in the same file before keeps its time; what
    /// is not among these is solved.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub async fn set_load_problems(
        &self,
        problems: Vec<StoredLoadProblem>,
        now: OffsetDateTime,
    ) -> Result<(), ControlError> {
        let transaction = self.write().await?;
        let before = load_problem::Entity::find().all(&transaction).await?;
        load_problem::Entity::delete_many().exec(&transaction).await?;
        let mut rows = Vec::new();
        for new in &problems {
            let path = stored_path(new);
            let open = |row: &&load_problem::Model| is_same(row, new) && row.solved.is_none();
            let since = before.iter().find(open).map_or(micros(new.since), |row| row.since);
            rows.push(load_problem::ActiveModel {
                id: NotSet,
                path: Set(path),
                tenant: Set(new.tenant.as_ref().map(ToString::to_string)),
                line: Set(new.line.map(signed)),
                problem: Set(short_text(&new.problem, PROBLEM)),
                kept: Set(new.kept),
                since: Set(since),
                solved: Set(None),
            });
        }
        for row in before {
            let still = problems.iter().any(|one| is_same(&row, one));
            let solved = row.solved.unwrap_or(micros(now));
            if !still && solved >= micros(now - KEPT) {
                let solved = Set(Some(solved));
                rows.push(load_problem::ActiveModel { id: NotSet, solved, ..row.into() });
            }
        }
        for row in rows {
            load_problem::Entity::insert(row).exec_without_returning(&transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// What is or was known to be wrong, by file.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn load_problems(&self) -> Result<Vec<StoredLoadProblem>, ControlError> {
        let rows = load_problem::Entity::find()
            .order_by_asc(load_problem::Column::Path)
            .all(self.reader())
            .await?;
        let stored = |row: load_problem::Model| {
            Ok(StoredLoadProblem {
                path: row.path,
                tenant: row.tenant.and_then(|name| name.parse().ok()),
                line: row.line.map(unsigned),
                problem: row.problem,
                kept: row.kept,
                since: instant(row.since)?,
                solved: row.solved.map(instant).transpose()?,
            })
        };
        rows.into_iter().map(stored).collect()
    }
}
