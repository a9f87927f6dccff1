//! Whether a JSON body is made of what a type has.

use serde_json::{Map, Value};

use super::schema::{Kind, Schema};

/// Checks a value; an error names the place in it.
pub(crate) fn check(
    schema: &Schema,
    kind: &Kind,
    value: &Value,
    place: &str,
) -> Result<(), String> {
    if value.is_null() {
        return if kind.nullable { Ok(()) } else { Err(format!("{place} must not be null")) };
    }
    if kind.many {
        let list = value.as_array().ok_or_else(|| format!("{place} is no list: {value}"))?;
        let one = Kind { nullable: false, ..kind.one() };
        return list.iter().try_for_each(|element| check(schema, &one, element, place));
    }
    if let Some(primitive) = kind.name.strip_prefix("Edm.") {
        return match fits(primitive, value) {
            true => Ok(()),
            false => Err(format!("{place} is no {}: {value}", kind.name)),
        };
    }
    if let Some(choices) = schema.choices(&kind.name) {
        let known = value.as_str().is_some_and(|text| choices.contains(&text));
        return if known { Ok(()) } else { Err(format!("{place} is no {}: {value}", kind.name)) };
    }
    let members = value.as_object().ok_or_else(|| format!("{place} is no object: {value}"))?;
    object(schema, &kind.name, members, place)
}

fn object(
    schema: &Schema,
    declared: &str,
    members: &Map<String, Value>,
    place: &str,
) -> Result<(), String> {
    let named = members.get("@odata.type").map(|named| {
        let name = named.as_str().unwrap_or_default().trim_start_matches('#');
        let name = name.trim_start_matches("microsoft.").to_owned();
        if schema.lineage(&name).iter().any(|ancestor| ancestor == declared) {
            Ok(name)
        } else {
            Err(format!("{place} is a {declared}, not a {named}"))
        }
    });
    let kind = match named {
        Some(name) => name?,
        None if schema.is_abstract(declared) => {
            return Err(format!("{place} needs an @odata.type, for {declared} is none"));
        }
        None => declared.to_owned(),
    };
    if !schema.has(&kind) {
        return Err(format!("{place}: the schema at hand has no {kind}"));
    }
    for (name, value) in members.iter().filter(|(name, _)| *name != "@odata.type") {
        let member = schema.member(&kind, name);
        let member = member.ok_or_else(|| format!("{place}: {kind} has no '{name}'"))?;
        check(schema, &member.kind, value, &format!("{place}.{name}"))?;
    }
    Ok(())
}

/// The parameters of an action. Their names begin with a capital letter in the schema of Exchange and
/// with a small one in the documentation; the service takes both.
pub(crate) fn parameters(
    schema: &Schema,
    known: &[(String, Kind)],
    value: &Value,
) -> Result<(), String> {
    let Some(members) = value.as_object() else {
        return if known.is_empty() { Ok(()) } else { Err("the parameters are missing".into()) };
    };
    for (name, value) in members {
        let parameter = known.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        let (_, kind) = parameter.ok_or_else(|| format!("there is no parameter '{name}'"))?;
        check(schema, kind, value, name)?;
    }
    Ok(())
}

/// Whether a JSON value is one of a primitive type (OData JSON 4.01, section 7.1).
fn fits(primitive: &str, value: &Value) -> bool {
    let text = value.as_str();
    match primitive {
        "String" => text.is_some(),
        "Boolean" => value.is_boolean(),
        "Int16" | "Int32" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        "Int64" => value.is_i64(),
        "Double" | "Single" | "Decimal" => value.is_number(),
        "Guid" => text.is_some_and(|text| like(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")),
        "Date" => text.is_some_and(|text| like(text, "dddd-dd-dd")),
        "TimeOfDay" => text.is_some_and(is_time),
        "DateTimeOffset" => text.is_some_and(is_instant),
        "Duration" => text.is_some_and(|text| text.trim_start_matches('-').starts_with('P')),
        "Binary" => text.is_some_and(|text| {
            let plain = text.trim_end_matches('=');
            plain.chars().all(|c| c.is_ascii_alphanumeric() || "+/-_".contains(c))
        }),
        _ => true,
    }
}

/// Whether a text has a form: `d` stands for a digit, `x` for a hexadecimal one.
fn like(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.chars().zip(form.chars()).all(|(c, f)| match f {
            'd' => c.is_ascii_digit(),
            'x' => c.is_ascii_hexdigit(),
            _ => c == f,
        })
}

fn is_time(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    like(whole, "dd:dd:dd") && !fraction.is_empty() && fraction.chars().all(|c| c.is_ascii_digit())
}

fn is_instant(text: &str) -> bool {
    let Some((day, rest)) = text.split_once('T') else { return false };
    let zone = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone);
    like(day, "dddd-dd-dd")
        && is_time(time)
        && (zone == "Z" || like(&zone[zone.len().min(1)..], "dd:dd"))
}
