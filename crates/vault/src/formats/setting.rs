use mailkeep_model::Setting;
use serde_json::{Map, Value};

use crate::records::to_file;

/// A setting as JSON: the provider's own, readable for people, names in order. Equal input gives
/// equal bytes, in whatever order the provider told it.
pub fn setting_json(setting: &Setting) -> Vec<u8> {
    to_file(&in_order(&setting.value))
}

/// The same with sorted names, also where a map of this library keeps the order of arrival (its
/// feature `preserve_order`, which any crate in a build can turn on).
fn in_order(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut names: Vec<_> = map.iter().collect();
            names.sort_by(|a, b| a.0.cmp(b.0));
            let sorted = names.into_iter().map(|(name, value)| (name.clone(), in_order(value)));
            Value::Object(sorted.collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(in_order).collect(),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_model::SettingKind;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_setting_that_is_told_in_another_order_is_not_stored_again() {
        let of = |text: &str| {
            let value = serde_json::from_str(text).unwrap();
            setting_json(&Setting { kind: SettingKind::InboxRule, value })
        };
        let stored = of(r#"{"b": {"d": 1, "c": [{"f": null, "e": "é"}]}, "a": true}"#);
        assert_eq!(stored, of(r#"{"a": true, "b": {"c": [{"e": "é", "f": null}], "d": 1}}"#));
        let back: Value = serde_json::from_slice(&stored).unwrap();
        assert_eq!(back, json!({"a": true, "b": {"c": [{"e": "é", "f": null}], "d": 1}}));
        assert!(stored.starts_with(b"{\n  \"a\": true,\n") && stored.ends_with(b"}\n"));
    }
}
