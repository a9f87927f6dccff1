//! The digest of Graph's schema (CSDL), and whether something is of one of its types.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::shared_data;

/// The digest of Graph's schema: type name to properties with their types.
pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn load() -> Option<Self> {
        let path = shared_data()?.join("graph/v1.0-subset.json");
        let text = std::fs::read_to_string(path).ok()?;
        Some(Self(serde_json::from_str(&text).unwrap()))
    }

    /// Properties and navigations of a type and those that it derives from.
    fn properties(&self, kind: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut kind = Some(kind.to_owned());
        while let Some(name) = kind {
            let definition = &self.0["types"][&name];
            assert!(definition.is_object(), "no type {name}");
            for group in ["properties", "navigation"] {
                for (property, of) in definition[group].as_object().into_iter().flatten() {
                    found.insert(property.clone(), of.as_str().unwrap().to_owned());
                }
            }
            kind = definition["BaseType"].as_str().map(str::to_owned);
        }
        found
    }

    /// Panics when an object is not of a type. `place` is said then.
    pub(super) fn check(&self, kind: &str, value: &Value, place: &str) {
        let properties = self.properties(kind);
        for (name, value) in value.as_object().unwrap_or_else(|| panic!("{place}: {value}")) {
            if name.starts_with('@') {
                continue;
            }
            let of =
                properties.get(name).unwrap_or_else(|| panic!("{place}: {kind} has no {name}"));
            self.check_value(of, value, &format!("{place}.{name}"));
        }
    }

    fn check_value(&self, of: &str, value: &Value, place: &str) {
        let of = of.trim_end_matches(" contained");
        let required = of.ends_with(" !");
        let of = of.trim_end_matches(" !");
        if value.is_null() {
            assert!(!required, "{place} must not be null");
            return;
        }
        if let Some(inner) = of.strip_prefix("Collection(").and_then(|r| r.strip_suffix(')')) {
            for element in value.as_array().unwrap_or_else(|| panic!("{place}: {value}")) {
                self.check_value(inner, element, place);
            }
            return;
        }
        let fits = match of {
            "Edm.String" | "Edm.Binary" | "Edm.Stream" => value.is_string(),
            "Edm.Guid" => value.as_str().is_some_and(|id| uuid::Uuid::try_parse(id).is_ok()),
            "Edm.TimeOfDay" => value.as_str().is_some_and(is_time_of_day),
            "Edm.Boolean" => value.is_boolean(),
            "Edm.Int32" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            "Edm.Int64" => value.is_i64(),
            "Edm.Double" => value.is_number(),
            "Edm.Date" => value.as_str().is_some_and(|day| {
                let format = time::macros::format_description!("[year]-[month]-[day]");
                time::Date::parse(day, format).is_ok()
            }),
            "Edm.DateTimeOffset" => {
                let format = &time::format_description::well_known::Rfc3339;
                value.as_str().is_some_and(|t| time::OffsetDateTime::parse(t, format).is_ok())
            }
            // An open type, whose annotation names the item that it is about.
            "graph.resourceData" => value["id"].is_string(),
            _ => {
                let name = of.replacen("graph.", "microsoft.graph.", 1);
                let actual = value.get("@odata.type").and_then(Value::as_str);
                let name = actual.map_or(name, |a| a.trim_start_matches('#').to_owned());
                let members = self.0["types"][&name]["members"].as_array();
                match members {
                    Some(members) => members.iter().any(|m| m[0] == *value),
                    None => {
                        self.check(&name, value, place);
                        true
                    }
                }
            }
        };
        assert!(fits, "{place}: {value} is no {of}");
    }
}

/// `08:00:00.0000000`
fn is_time_of_day(text: &str) -> bool {
    let format = time::macros::format_description!("[hour]:[minute]:[second].[subsecond digits:7]");
    time::Time::parse(text, format).is_ok()
}
