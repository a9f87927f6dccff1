//! Text from outside inside scripts: it stays text, whatever stands in it.

/// A word of a POSIX shell (2.2.2): nothing is special between single quotes.
pub(super) fn sh(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A string of PowerShell (about_Quoting_Rules). It takes the typographic quotation marks for single
/// ones as well; doubled, each stands for itself.
pub(super) fn powershell(text: &str) -> String {
    let mut quoted = String::from("'");
    for c in text.chars() {
        if is_single_quote(c) {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

/// What PowerShell takes for a single quotation mark.
fn is_single_quote(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201A}' | '\u{201B}')
}

/// A string in a recipient filter (OPATH) or in OData, where a quotation mark is doubled.
pub(super) fn filter(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What may stand behind `#`: one line.
pub(super) fn comment(text: &str) -> String {
    text.chars().map(|c| if is_line_break(c) { ' ' } else { c }).collect()
}

fn is_line_break(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Names that somebody may have chosen, or chosen against us.
    const ODD: &[&str] = &[
        "O'Brien's group",
        "$(touch /tmp/x) `id` \"quoted\" \\ ; & | < > * ? ~ #",
        "two\nlines",
        "\u{2018}typographic\u{2019} \u{201A}quotes\u{201B}",
        "-rf",
        "",
        "Größe 日本 \u{202E}",
        "''",
    ];

    #[test]
    fn a_shell_gives_back_what_was_quoted() {
        for text in ODD {
            let script = format!("printf %s {}", sh(text));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), **text);
        }
    }

    /// The string that PowerShell's tokenizer reads at the beginning, and what is behind it
    /// (`Tokenizer.ScanStringLiteral`: a single quotation mark of any form ends it unless another one
    /// follows).
    fn read_powershell(quoted: &str) -> Option<(String, &str)> {
        let mut rest = quoted.char_indices().peekable();
        rest.next().filter(|(_, c)| is_single_quote(*c))?;
        let mut text = String::new();
        while let Some((at, c)) = rest.next() {
            if is_single_quote(c) && rest.next_if(|(_, next)| is_single_quote(*next)).is_none() {
                return Some((text, &quoted[at + c.len_utf8()..]));
            }
            text.push(c);
        }
        None
    }

    #[test]
    fn powershell_reads_what_was_quoted_and_nothing_behind_it() {
        for text in ODD {
            let quoted = format!("{} -Next", powershell(text));
            assert_eq!(read_powershell(&quoted), Some(((*text).to_owned(), " -Next")), "{text}");
        }
    }

    #[test]
    fn a_comment_is_one_line() {
        assert_eq!(comment("a\nrm -rf /\u{2028}b\r"), "a rm -rf / b ");
    }
}
