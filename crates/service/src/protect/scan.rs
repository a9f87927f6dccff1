//! Scanners that look at bytes, between the reading of a message and its verdict.

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use mailkeep_inspect::{KnownFile, OpenMessage, RuleMatch, Scanned};

use super::{ClamAv, clamav::Session};

/// Files of one message that ClamAV is asked about; it unpacks archives itself.
const FILES: usize = 200;
/// Bytes of one message that it is asked about.
const BYTES: usize = 100 << 20;

/// Makes scanners of rule files. What it is lies outside of this crate, because it takes minutes to
/// compile (`mailkeep-yara`).
pub trait RuleEngine: fmt::Debug + Send + Sync + 'static {
    /// Compiles rule files, given with what errors call them.
    ///
    /// # Errors
    /// For each file that is wrong its position among them, the line, and what is wrong there.
    #[expect(clippy::type_complexity, reason = "the position of a file, and what is wrong with it")]
    fn compile(
        &self,
        files: &[(&str, &[u8])],
    ) -> Result<Arc<dyn RuleScanner>, Vec<(usize, (Option<usize>, String))>>;
}

/// Rules of one's own, compiled.
pub trait RuleScanner: fmt::Debug + Send + Sync + 'static {
    /// How many rules there are.
    fn rules(&self) -> usize;

    /// What the rules say of the pieces of one message, within that time; what they were not held
    /// against comes as a reason.
    fn scan(&self, pieces: &[Piece<'_>], within: Duration) -> (Vec<RuleMatch>, Vec<String>);
}

/// A piece of a message that rules are held against.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'m> {
    /// `message` for all of it, a text's name or a file's path.
    pub field: &'m str,
    /// What rules look at.
    pub bytes: &'m [u8],
    /// Whether it is a text, in which a place means something to people.
    pub is_text: bool,
}

/// Has scanners look at a message. `raw` is what is at hand of it.
pub(super) fn scan(
    message: &OpenMessage,
    raw: &[u8],
    clamav: Option<&ClamAv>,
    rules: Option<&dyn RuleScanner>,
    within: Duration,
) -> Scanned {
    let mut scanned = Scanned::default();
    if let Some(clamav) = clamav {
        ask(clamav, message, &mut scanned);
    }
    if let Some(rules) = rules {
        let whole = Piece { field: "message", bytes: raw, is_text: false };
        let texts = message.texts().map(|(field, text)| Piece {
            field,
            bytes: text.as_bytes(),
            is_text: true,
        });
        let files = message.files().map(|file| Piece {
            field: file.path,
            bytes: file.bytes,
            is_text: false,
        });
        let pieces: Vec<Piece<'_>> = [whole]
            .into_iter()
            .filter(|piece| !piece.bytes.is_empty())
            .chain(texts)
            .chain(files)
            .collect();
        let (matches, not_inspected) = rules.scan(&pieces, within);
        scanned.matches = told_once(matches);
        scanned.not_inspected.extend(not_inspected);
    }
    scanned
}

/// A rule that applies to a part applies to the whole message as well, as often as not: what is told
/// is the part.
fn told_once(matches: Vec<RuleMatch>) -> Vec<RuleMatch> {
    let in_parts: HashSet<String> = matches
        .iter()
        .filter(|found| found.field != "message")
        .map(|found| found.rule.clone())
        .collect();
    matches
        .into_iter()
        .filter(|found| found.field != "message" || !in_parts.contains(&found.rule))
        .collect()
}

fn ask(clamav: &ClamAv, message: &OpenMessage, scanned: &mut Scanned) {
    let mut seen = HashSet::new();
    let mut files =
        message.files().filter(|file| !file.bytes.is_empty() && seen.insert(file.sha256));
    let Some(first) = files.next() else { return };
    let mut session = match clamav.begin() {
        Ok(session) => session,
        Err(error) => return scanned.not_inspected.push(error.to_string()),
    };
    let (mut count, mut bytes) = (0, 0);
    for file in std::iter::once(first).chain(files) {
        count += 1;
        bytes += file.bytes.len();
        if count > FILES || bytes > BYTES {
            let why = "more files than ClamAV is asked about: the rest was not scanned";
            return scanned.not_inspected.push(why.to_owned());
        }
        if file.bytes.len() > Session::LONGEST {
            let mib = Session::LONGEST >> 20;
            let why =
                format!("{} is longer than the {mib} MiB that ClamAV is asked about", file.path);
            scanned.not_inspected.push(why);
            continue;
        }
        match session.scan(file.bytes) {
            Ok(None) => {}
            Ok(Some(name)) => {
                let name = format!("{name} (ClamAV)");
                scanned.known_files.push(KnownFile { sha256: file.sha256, name });
            }
            Err(error) => return scanned.not_inspected.push(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailkeep_model::Severity;

    #[test]
    fn a_rule_is_told_where_it_applies_and_not_of_the_whole_message_as_well() {
        let found = |rule: &str, field: &str| RuleMatch {
            rule: rule.into(),
            severity: Severity::Low,
            field: field.into(),
            place: None,
            evidence: String::new(),
        };
        let matches = vec![found("a", "message"), found("a", "body.text"), found("b", "message")];
        let told = told_once(matches);
        let told: Vec<(&str, &str)> =
            told.iter().map(|one| (one.rule.as_str(), one.field.as_str())).collect();
        assert_eq!(told, [("a", "body.text"), ("b", "message")]);
    }
}
