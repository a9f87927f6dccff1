//! Pieces of HTML, and the frame around them.
//!
//! What comes from outside goes through [`escaped`], and never into an attribute.

use mailkeep_model::one_line;
use time::{Duration, OffsetDateTime};

/// Characters of one text from outside that are shown.
const SHOWN: usize = 300;

/// Nothing is fetched, nothing runs, nothing is sent; the page's own style sheet is all.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("page.css");

/// The pattern that blind times are drawn with, so that colour is not all that tells them apart.
const PATTERN: &str = "<svg class=\"defs\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>\
    <pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
    <rect class=\"hatch-ground\" width=\"6\" height=\"6\"/><rect class=\"hatch-line\" width=\"2\" height=\"6\"/>\
    </pattern></defs></svg>\n";

/// Text from outside, on one line, safe between tags, and not longer than anybody reads.
pub(super) fn escaped(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let mut out = String::with_capacity(shown.len());
    for c in one_line(&shown).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A whole page. `title` comes from outside, `body` is HTML.
pub(super) fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{PATTERN}<main>\n{body}</main>\n</body>\n</html>\n",
        escaped(title)
    )
}

/// A table; the cells are HTML. Nothing when there are no rows.
pub(super) fn table(class: &str, caption: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head: String = head.iter().map(|cell| format!("<th scope=\"col\">{cell}</th>")).collect();
    let row = |row: &Vec<String>| {
        let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = rows.iter().map(row).collect();
    format!(
        "<div class=\"scroll\"><table class=\"{class}\">\n<caption>{caption}</caption>\n\
         <thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

/// Text from outside in the type of identifiers.
pub(super) fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

/// A moment, to the second, in UTC.
pub(super) fn moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    let (date, hour, minute, second) = (at.date(), at.hour(), at.minute(), at.second());
    format!("<time>{date} {hour:02}:{minute:02}:{second:02}</time>")
}

/// A moment, to the minute, in UTC, for a sentence.
pub(super) fn minute(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!("<time>{} {:02}:{:02} UTC</time>", at.date(), at.hour(), at.minute())
}

/// A length of time, in its two greatest units.
pub(super) fn long(duration: Duration) -> String {
    let unit = |count: i64, name: &str| match count {
        1 => format!("1&nbsp;{name}"),
        _ => format!("{count}&nbsp;{name}s"),
    };
    let (days, hours) = (duration.whole_days(), duration.whole_hours() % 24);
    let (minutes, seconds) = (duration.whole_minutes() % 60, duration.whole_seconds() % 60);
    let units = [(days, "day"), (hours, "hour"), (minutes, "minute"), (seconds, "second")];
    let mut some = units.iter().skip_while(|(count, _)| *count == 0);
    let Some((count, name)) = some.next() else { return "less than a second".to_owned() };
    match some.next() {
        Some((next, next_name)) if *next > 0 => {
            format!("{} {}", unit(*count, name), unit(*next, next_name))
        }
        _ => unit(*count, name),
    }
}

/// `1 message`, `1,234 messages`.
pub(super) fn counted(count: usize, what: &str, many: &str) -> String {
    let what = if count == 1 { what } else { many };
    format!("{}&nbsp;{what}", number(count))
}

/// With commas between thousands.
pub(super) fn number(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_what_people_write() {
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(999), "999");
        assert_eq!(long(Duration::minutes(61)), "1&nbsp;hour 1&nbsp;minute");
        assert_eq!(long(Duration::hours(48)), "2&nbsp;days");
        assert_eq!(long(Duration::ZERO), "less than a second");
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let long = escaped(&"<".repeat(100_000));
        assert_eq!(long.matches("&lt;").count(), SHOWN);
        assert!(long.ends_with('…'));
    }
}
