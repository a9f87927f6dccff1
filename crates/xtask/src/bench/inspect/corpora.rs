//! The labelled corpora, as their README describes them: which file is what.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// A row of a table with tabs between its columns and their names in the first line.
pub(super) type Row = BTreeMap<String, String>;

pub(super) fn table(path: &Path) -> Result<Vec<Row>> {
    // Subjects of real mail are in some of them, in whatever character set they had.
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let row = |line: &str| -> Row {
        names.iter().zip(line.split('\t')).map(|(k, v)| ((*k).into(), v.into())).collect()
    };
    let rows: Vec<Row> = lines.map(row).collect();
    ensure!(!rows.is_empty(), "{}: nothing in it", path.display());
    Ok(rows)
}

pub(super) fn column<'r>(row: &'r Row, name: &str) -> Result<&'r str> {
    Ok(row.get(name).with_context(|| format!("there is no column {name:?}"))?)
}

/// Which messages of an mbox file stayed inside: sender and every recipient of one domain.
pub(super) fn internal(mbox: &Path, domain: &str) -> Result<Vec<bool>> {
    let mut reader = BufReader::new(File::open(mbox)?);
    let (mut inside, mut line, mut blank) = (Vec::new(), Vec::new(), true);
    let mut header: Option<String> = None;
    loop {
        line.clear();
        let ended = reader.read_until(b'\n', &mut line)? == 0;
        let begins = blank && line.starts_with(b"From ");
        blank = line.trim_ascii().is_empty();
        if let Some(text) = header.as_mut()
            && !begins
            && !ended
        {
            if blank {
                inside.push(is_internal(&header.take().unwrap_or_default(), domain));
            } else {
                text.push_str(&String::from_utf8_lossy(&line));
            }
            continue;
        }
        if let Some(text) = header.take() {
            inside.push(is_internal(&text, domain));
        }
        if ended {
            return Ok(inside);
        }
        if begins {
            header = Some(String::new());
        }
    }
}

fn is_internal(header: &str, domain: &str) -> bool {
    let unfolded = header.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ");
    let mut addresses = Vec::new();
    for line in unfolded.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        if ["from", "to", "cc", "bcc"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
            let words = value.split(|c: char| c.is_whitespace() || ",;<>\"'()".contains(c));
            addresses.extend(words.filter(|word| word.contains('@')).map(str::to_lowercase));
        }
    }
    let ending = format!("@{domain}");
    addresses.len() > 1 && addresses.iter().all(|address| address.ends_with(&ending))
}

/// All files below a directory whose names end so.
pub(super) fn files(directory: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, ending)?);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_internal_when_nobody_outside_is_on_it() {
        let place = tempfile::tempdir().unwrap();
        let mbox = place.path().join("x.mbox");
        let text = "From a\nFrom: a@in.example\nTo: b@in.example,\n  c@in.example\n\nFrom: x\n\
                    >From \n\nFrom b\nFrom: A <a@IN.example>\nTo: b@in.example\nCc: d@out.example\n\
                    \n\nFrom c\nFrom: a@in.example\n\nnobody\n";
        fs::write(&mbox, text).unwrap();
        assert_eq!(internal(&mbox, "in.example").unwrap(), [true, false, false]);
    }
}
