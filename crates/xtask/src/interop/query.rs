//! Whether query options are ones that a resource takes, and name what it has.

use super::{
    resource::{Form, Resource, decoded},
    schema::{Kind, Schema},
};

const OF_LISTS: &[&str] = &[
    "$select",
    "$expand",
    "$filter",
    "$top",
    "$skip",
    "$orderby",
    "$count",
    "$search",
    "$skiptoken",
];
const OF_ONE: &[&str] = &["$select", "$expand"];
const OF_DELTA: &[&str] =
    &["$select", "$expand", "$filter", "$top", "$orderby", "$deltatoken", "$skiptoken"];
/// Options with names of their own: on what, which, and whether it must be there.
const OTHERS: &[(&str, &str, bool)] = &[
    ("calendarView", "startDateTime", true),
    ("calendarView", "endDateTime", true),
    ("instances", "startDateTime", true),
    ("instances", "endDateTime", true),
    ("mailFolders", "includeHiddenFolders", false),
    ("childFolders", "includeHiddenFolders", false),
];
/// Words of the filter language that are no names.
const WORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "gt",
    "ge",
    "lt",
    "le",
    "in",
    "has",
    "null",
    "true",
    "false",
    "startswith",
    "endswith",
    "contains",
    "tolower",
    "toupper",
];

/// Checks the query of a GET.
pub(crate) fn check(schema: &Schema, resource: &Resource, query: &str) -> Result<(), String> {
    let pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| decoded(&text.replace('+', " "));
            (plain(name), plain(value))
        })
        .collect();
    let general = match resource.form {
        Form::Collection => OF_LISTS,
        Form::One if schema.is_entity(&resource.kind.name) => OF_ONE,
        Form::One => &["$select"],
        Form::Function => OF_DELTA,
        Form::Value | Form::Reference | Form::Action(_) | Form::Batch => &[],
    };
    // A delta query begins at the list that it is of.
    let of = match resource.form {
        Form::Function => resource.template.rsplit('/').nth(1).unwrap_or_default(),
        _ => &resource.name,
    };
    let others = || OTHERS.iter().filter(|(on, ..)| resource.kind.many && *on == of);
    for (name, value) in &pairs {
        let known = general.contains(&name.as_str()) || others().any(|(_, other, _)| other == name);
        if !known {
            return Err(format!("{} takes no {name}", resource.template));
        }
        option(schema, &resource.kind.name, name, value)?;
    }
    let has = |name: &str| pairs.iter().any(|(other, _)| other == name);
    let goes_on = has("$skiptoken") || has("$deltatoken");
    match others().find(|(_, name, needed)| *needed && !has(name) && !goes_on) {
        Some((_, name, _)) => Err(format!("{} needs {name}", resource.template)),
        None => Ok(()),
    }
}

fn option(schema: &Schema, kind: &str, name: &str, value: &str) -> Result<(), String> {
    let number = || value.parse::<u32>().map(drop).map_err(|_| format!("{name}={value}"));
    match name {
        "$select" => split(value, ',').iter().try_for_each(|one| select(schema, kind, one)),
        "$expand" => split(value, ',').iter().try_for_each(|one| expand(schema, kind, one)),
        "$filter" => filter(schema, kind, value),
        "$orderby" => split(value, ',').iter().try_for_each(|one| {
            let (path, direction) = one.split_once(' ').unwrap_or((one, "asc"));
            if !["asc", "desc"].contains(&direction) {
                return Err(format!("$orderby={value}"));
            }
            follow(schema, kind, path).map(drop)
        }),
        "$top" | "$skip" => number(),
        "$count" | "includeHiddenFolders" if !["true", "false"].contains(&value) => {
            Err(format!("{name}={value}"))
        }
        _ => Ok(()),
    }
}

fn select(schema: &Schema, kind: &str, path: &str) -> Result<(), String> {
    if path == "*" { Ok(()) } else { follow(schema, kind, path).map(drop) }
}

fn expand(schema: &Schema, kind: &str, text: &str) -> Result<(), String> {
    let (path, options) = match text.split_once('(') {
        Some((path, rest)) => {
            (path, rest.strip_suffix(')').ok_or(format!("$expand={text}: a ')' is missing"))?)
        }
        None => (text, ""),
    };
    let (of, last) = match path.rsplit_once('/') {
        Some((cast, last)) => (cast_to(schema, kind, cast)?, last),
        None => (kind.to_owned(), path),
    };
    let member = schema.member(&of, last).filter(|member| member.navigation);
    let member = member.ok_or_else(|| format!("{of} cannot be expanded by '{last}'"))?;
    for one in split(options, ';').into_iter().filter(|one| !one.is_empty()) {
        let (name, value) = one.split_once('=').ok_or(format!("$expand={text}"))?;
        if !OF_LISTS.contains(&name) {
            return Err(format!("$expand={text}: no {name} in there"));
        }
        option(schema, &member.kind.name, name, value)?;
    }
    Ok(())
}

/// The names in a filter, each where it can be.
fn filter(schema: &Schema, kind: &str, text: &str) -> Result<(), String> {
    let bare = without_literals(text).ok_or(format!("$filter={text}: a quote is missing"))?;
    let is_name = |c: char| c.is_alphanumeric() || "/._:-@".contains(c);
    let mut variables: Vec<(String, Kind)> = Vec::new();
    let mut last_list: Option<Kind> = None;
    for word in bare.split(|c: char| !is_name(c)).filter(|word| !word.is_empty()) {
        if WORDS.contains(&word) || word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            continue;
        }
        // `list/any(one: one/property eq 1)`
        if let Some(variable) = word.strip_suffix(':') {
            let of = last_list.take().ok_or(format!("$filter={text}: '{variable}' of what?"))?;
            variables.push((variable.to_owned(), of));
            continue;
        }
        // The documentation writes `Any`, too.
        let (path, is_list) = match word.rsplit_once('/') {
            Some((path, lambda)) if ["any", "Any", "all", "All"].contains(&lambda) => (path, true),
            _ => (word, false),
        };
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let found = match variables.iter().find(|(name, _)| name == first) {
            Some((_, of)) if rest.is_empty() => of.clone(),
            Some((_, of)) => follow(schema, &of.name, rest)?,
            None => follow(schema, kind, path)?,
        };
        if is_list {
            if !found.many {
                return Err(format!("$filter={text}: '{path}' is no list"));
            }
            last_list = Some(found.one());
        }
    }
    Ok(())
}

/// A path of properties, with casts.
fn follow(schema: &Schema, kind: &str, path: &str) -> Result<Kind, String> {
    let mut at = Kind::parse(kind);
    for name in path.trim().split('/') {
        at = if name.starts_with("microsoft.graph.") {
            Kind { name: cast_to(schema, &at.name, name)?, ..at }
        } else {
            let member = schema.member(&at.name, name);
            member.ok_or_else(|| format!("{} has no '{name}'", at.name))?.kind
        };
    }
    Ok(at)
}

fn cast_to(schema: &Schema, from: &str, name: &str) -> Result<String, String> {
    let to = name.trim_start_matches("microsoft.").to_owned();
    let derived = schema.lineage(&to).iter().any(|ancestor| ancestor == from);
    if derived { Ok(to) } else { Err(format!("{to} is no {from}")) }
}

/// Splits where the separator stands neither in quotes nor in parentheses.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut quoted, mut begin, mut parts) = (0_usize, false, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ if c == separator && depth == 0 && !quoted => {
                parts.push(text[begin..at].trim());
                begin = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text[begin..].trim());
    parts
}

/// A filter with its texts taken out; `None` when a quote is missing.
fn without_literals(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('\'').collect();
    let outside: Vec<&str> = parts.iter().step_by(2).copied().collect();
    (parts.len() % 2 == 1).then(|| outside.join(" "))
}
