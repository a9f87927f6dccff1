//! The three states over time: a bar for those who see, a table for all.

use time::{Duration, OffsetDateTime};

use super::markup::{long, minute, moment, number, table};
use crate::{Span, State, Stretch};

/// Columns that a bar is made of; however many stretches there are, it has no more pieces.
const COLUMNS: usize = 720;
/// Columns that a read of mail is wide at least, so that minutes show in a month.
const LEAST_ACCESSED: usize = 5;

/// What is said of a state.
pub(super) fn words(state: State) -> (&'static str, &'static str) {
    match state {
        State::Accessed => ("accessed", "the log shows that somebody else read mail"),
        State::NotAccessed => ("not accessed", "the logs are complete and show nobody else"),
        State::Blind => ("blind", "nobody can tell"),
    }
}

fn fill(state: State) -> &'static str {
    match state {
        State::Accessed => "accessed-fill",
        State::NotAccessed => "not-fill",
        State::Blind => "blind-fill",
    }
}

/// What the bars mean.
pub(super) fn legend() -> String {
    let entry = |state: State| {
        let (name, meaning) = words(state);
        let fill = fill(state);
        format!(
            "<li><svg viewBox=\"0 0 26 16\" aria-hidden=\"true\"><rect class=\"{fill}\" width=\"26\" height=\"16\"/></svg>\
             <b>{name}</b>: {meaning}</li>\n"
        )
    };
    let entries: String =
        [State::Accessed, State::NotAccessed, State::Blind].into_iter().map(entry).collect();
    format!("<ul class=\"legend\">\n{entries}</ul>\n")
}

/// The bar, with its two ends below it.
pub(super) fn bar(timeline: &[Stretch], whole: Span) -> String {
    let mut columns = [State::Blind; COLUMNS];
    // The worst comes last: a column is what the worst moment in it is.
    for state in [State::NotAccessed, State::Blind, State::Accessed] {
        for stretch in timeline.iter().filter(|stretch| stretch.state == state) {
            let (from, to) = (place(stretch.span.from, whole), place(stretch.span.to, whole));
            let least = if state == State::Accessed { LEAST_ACCESSED } else { 1 };
            let from = (from.floor() as usize).min(COLUMNS - least);
            let to = (to.ceil() as usize).clamp(from + least, COLUMNS);
            columns[from..to].fill(state);
        }
    }
    let mut pieces = String::new();
    let mut from = 0;
    for run in columns.chunk_by(|one, next| one == next) {
        let (width, fill) = (run.len(), fill(run[0]));
        pieces.push_str(&format!(
            "<rect class=\"{fill}\" x=\"{from}\" width=\"{width}\" height=\"24\"/>"
        ));
        from += width;
    }
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 {COLUMNS} 24\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"The three states over time; the table below says the same\">{pieces}</svg>\n\
         <div class=\"ends\"><span>{}</span><span>{}</span></div>\n",
        minute(whole.from),
        minute(whole.to)
    )
}

/// Where a moment lies, in columns.
fn place(at: OffsetDateTime, whole: Span) -> f64 {
    let all = (whole.to - whole.from).max(Duration::SECOND);
    ((at - whole.from) / all * COLUMNS as f64).clamp(0.0, COLUMNS as f64)
}

/// How long each state lasted, in a sentence.
pub(super) fn totals(timeline: &[Stretch]) -> String {
    let one = |state: State| {
        let of = timeline.iter().filter(|stretch| stretch.state == state);
        let all: Duration = of.map(|stretch| stretch.span.to - stretch.span.from).sum();
        (all > Duration::ZERO).then(|| format!("{} for {}", words(state).0, long(all)))
    };
    let all: Vec<String> =
        [State::Accessed, State::NotAccessed, State::Blind].into_iter().filter_map(one).collect();
    format!("<p class=\"soft\">{}</p>\n", all.join("; "))
}

/// The bar's contents as a table of at most `most` rows; reads of mail go before what else there is.
pub(super) fn stretches(timeline: &[Stretch], most: usize) -> String {
    let is_accessed = |stretch: &&Stretch| stretch.state == State::Accessed;
    let (mut shown, left): (Vec<&Stretch>, usize) = match timeline.len() <= most {
        true => (timeline.iter().collect(), 0),
        false => {
            let accessed = timeline.iter().filter(is_accessed);
            let others = timeline.iter().filter(|stretch| !is_accessed(stretch));
            (accessed.chain(others).take(most).collect(), timeline.len() - most)
        }
    };
    shown.sort_by_key(|stretch| (stretch.span.from, stretch.span.to));
    let row = |stretch: &&Stretch| {
        let state = match stretch.state {
            State::Accessed => "<span class=\"state-accessed\">accessed</span>".to_owned(),
            other => words(other).0.to_owned(),
        };
        vec![moment(stretch.span.from), moment(stretch.span.to), state]
    };
    let caption = match left {
        0 => "Every moment, in UTC".to_owned(),
        _ => {
            format!(
                "In UTC; {} further stretches are not listed here: the JSON report has all",
                number(left)
            )
        }
    };
    let rows: Vec<Vec<String>> = shown.iter().map(row).collect();
    table("stretches", &caption, &["From", "To", "State"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::minutes(minute)
    }

    fn stretch(from: i64, to: i64, state: State) -> Stretch {
        Stretch { span: Span { from: at(from), to: at(to) }, state }
    }

    #[test]
    fn two_minutes_in_a_month_are_seen() {
        let month = 30 * 24 * 60;
        let timeline =
            [stretch(0, month - 2, State::NotAccessed), stretch(month - 2, month, State::Accessed)];
        let bar = bar(&timeline, Span { from: at(0), to: at(month) });
        let last = "<rect class=\"accessed-fill\" x=\"715\" width=\"5\" height=\"24\"/>";
        assert!(bar.contains(last), "{bar}");
    }

    #[test]
    fn a_hundred_thousand_stretches_make_a_bar_and_a_table_that_can_be_shown() {
        let state = |n: i64| if n & 1 == 0 { State::NotAccessed } else { State::Blind };
        let mut timeline: Vec<Stretch> =
            (0..100_000).map(|n| stretch(n, n + 1, state(n))).collect();
        timeline.push(stretch(100_000, 100_001, State::Accessed));
        let whole = Span { from: at(0), to: at(100_001) };
        assert!(bar(&timeline, whole).len() < 100_000);
        let table = stretches(&timeline, 50);
        assert_eq!(table.matches("<tr>").count(), 51);
        assert_eq!(table.matches("state-accessed").count(), 1, "the read is listed");
        assert!(table.contains("99,951 further stretches"), "{table}");
    }

    #[test]
    fn a_report_of_no_time_at_all_is_drawn() {
        bar(&[stretch(0, 0, State::Accessed)], Span { from: at(0), to: at(0) });
        bar(&[], Span { from: at(0), to: at(0) });
    }
}
