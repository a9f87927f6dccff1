//! Delta queries of what is few or looked at seldom: all lines are made, and a page of them is told.

use serde_json::{Map, Value, json};

use super::Desk;
use super::answer::Answer;
use super::cursor::Cursor;
use super::delta::{first, link, page_size, resumed};
use super::errors::GraphError;
use super::paging::DeltaPage;

const LARGEST_PAGE: usize = 1000;

/// Where a request stands. `number` tells what is asked from everything else that is.
pub(super) fn start(desk: &Desk<'_>, number: u64, sequence: u64) -> Result<Cursor, GraphError> {
    if let Some(cursor) = resumed(desk, number)? {
        return Ok(cursor);
    }
    desk.query.allow(&["$top"])?;
    let top = desk.query.number("$top", 1..=LARGEST_PAGE)?;
    Ok(Cursor { top, ..first(desk, number, sequence) })
}

/// Whether a client that stands there can have seen what is gone.
pub(super) fn was_seen(start: &Cursor, change: u64, entered: u64) -> bool {
    entered <= start.position && change > start.floor
}

/// The line of what is gone.
pub(super) fn removed(id: &str) -> Value {
    json!({ "id": id, "@removed": { "reason": "deleted" } })
}

/// What is told: path below the version, type, and all lines by their change.
pub(super) struct Told<'a> {
    pub(super) path: &'a str,
    pub(super) kind: &'a str,
    pub(super) lines: Vec<(u64, Value)>,
    /// The last change of all: a round that has ended stands there, behind what was not told.
    pub(super) sequence: u64,
}

/// The page that follows `start`. Lines of one change stand on one page.
pub(super) fn answer(desk: &Desk<'_>, start: &Cursor, told: Told<'_>) -> Answer {
    let Told { path, kind, mut lines, sequence } = told;
    let held = |change: &u64| start.held.contains(change);
    let due: Vec<(u64, Value)> = lines.iter().filter(|(c, _)| held(c)).cloned().collect();
    lines.retain(|(change, _)| *change > start.position && !held(change));
    lines.sort_by_key(|(change, _)| *change);
    let mut size = page_size(desk, start).min(lines.len());
    while size > 0 && size < lines.len() && lines[size].0 == lines[size - 1].0 {
        size += 1;
    }
    let more = lines.len() > size;
    lines.truncate(size);
    let last = lines.last().map_or(start.position, |(change, _)| *change);
    let position = if more { last } else { sequence };
    let due_count = due.len();
    let is_gone = |line: &Value| line.get("@removed").is_some();
    let lines = due.into_iter().chain(lines);
    let mut page = DeltaPage {
        position,
        lines: lines.map(|(change, line)| ((!is_gone(&line)).then_some(change), line)).collect(),
        more,
        held: Vec::new(),
        held_for_next_round: start.held_for_next_round.clone(),
        again: false,
        circle: false,
    };
    page.falsify(desk, due_count, start.again);
    let (name, link) = link(desk, path, start, &page);
    let mut answer = Map::new();
    answer
        .insert("@odata.context".into(), json!(desk.base.context(&format!("Collection({kind})"))));
    answer.insert(name.into(), json!(link));
    let lines = page.lines.into_iter().map(|(_, mut line)| {
        line["@odata.type"] = json!(format!("#microsoft.graph.{kind}"));
        line
    });
    answer.insert("value".into(), lines.collect());
    let told = Answer::json(Value::Object(answer).to_string().into_bytes());
    Answer { preference_applied: desk.prefer.applied(), ..told }
}
