//! Extended (MAPI) properties that a client has set on an item.

/// Most properties of one item.
const MOST: usize = 64;
/// Most characters of one value (Exchange refuses larger ones in this interface, too).
const LONGEST: usize = 32 * 1024;

/// Properties by normalised id (`graph::extended::property_id`), in the order in which they were set.
/// Values are text, as Graph writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExtendedProperties(Vec<(Box<str>, Box<str>)>);

/// An item may not have that many, or a value that long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl ExtendedProperties {
    pub(crate) fn get(&self, id: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| **known == *id).map(|(_, value)| &**value)
    }

    /// Sets or replaces a property.
    pub(crate) fn set(&mut self, id: &str, value: &str) -> Result<(), TooMuch> {
        if value.len() > LONGEST {
            return Err(TooMuch);
        }
        match self.0.iter().position(|(known, _)| **known == *id) {
            Some(at) => self.0[at].1 = value.into(),
            None if self.0.len() >= MOST => return Err(TooMuch),
            None => self.0.push((id.into(), value.into())),
        }
        Ok(())
    }

    /// Ids and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(id, value)| (&**id, &**value))
    }
}
