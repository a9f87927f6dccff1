//! What a message looks like to its owner, beside where it lies.

use mailkeep_control::FoundCopy;
use mailkeep_model::{FollowUp, Item};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Whether a message is read, its flag and its categories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marks {
    read: bool,
    #[serde(default)]
    follow_up: FollowUp,
    #[serde(default)]
    categories: Vec<String>,
    /// Start, due and completion dates, as the provider tells them.
    #[serde(default)]
    flag: Option<Value>,
}

impl Marks {
    pub(super) fn of(item: &Item) -> Self {
        Self {
            read: item.read,
            follow_up: item.follow_up,
            categories: item.categories.clone(),
            flag: item.provider.get("flag").cloned(),
        }
    }

    /// Those that a copy had where it lay; `None`: nobody knows.
    pub(super) fn when_found(copy: &FoundCopy) -> Option<Self> {
        serde_json::from_value(copy.marks.clone()).ok()
    }

    pub(super) fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// A message with these marks.
    pub(super) fn on(&self, item: &Item) -> Item {
        let mut provider: Map<String, Value> = item.provider.clone();
        match &self.flag {
            Some(flag) => provider.insert("flag".into(), flag.clone()),
            None => provider.remove("flag"),
        };
        Item {
            read: self.read,
            follow_up: self.follow_up,
            categories: self.categories.clone(),
            provider,
            ..item.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use mailkeep_model::{FolderId, ItemId, ItemKind};

    use super::*;

    #[test]
    fn marks_survive_the_database_and_come_back_as_they_were() {
        let mut item = Item::new(ItemId("m".into()), ItemKind::Message, FolderId("inbox".into()));
        let plain = Marks::of(&item);
        item.read = true;
        item.follow_up = FollowUp::Flagged;
        item.categories = vec!["Red".into()];
        item.provider.insert("flag".into(), serde_json::json!({"flagStatus": "flagged"}));
        let marks = Marks::of(&item);
        assert_ne!(marks, plain);
        let back: Marks = serde_json::from_value(marks.to_json()).unwrap();
        assert_eq!(Marks::of(&back.on(&plain.on(&item))), marks);
        assert_eq!(Marks::of(&plain.on(&item)), plain);
    }
}
