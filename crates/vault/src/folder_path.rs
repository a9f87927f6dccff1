use std::{fmt, str::FromStr};

/// True names of a folder and the folders above it, as people write them: `/` between names,
/// `%2F`, `%3A` and `%25` for `/`, `:` and a `%` that could be mistaken for one of these.
/// The empty path is the mailbox itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderPath(pub Vec<String>);

const ESCAPES: [(&str, char); 3] = [("%2F", '/'), ("%3A", ':'), ("%25", '%')];

impl FolderPath {
    /// Whether this is `other` or a folder below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for FolderPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            for (at, c) in name.char_indices() {
                match c {
                    '/' => f.write_str("%2F")?,
                    ':' => f.write_str("%3A")?,
                    '%' if escape_at(&name[at..]).is_some() => f.write_str("%25")?,
                    c => write!(f, "{c}")?,
                }
            }
        }
        Ok(())
    }
}

impl FromStr for FolderPath {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text.split('/').filter(|name| !name.is_empty()).map(|mut rest| {
            let mut name = String::with_capacity(rest.len());
            while let Some(c) = rest.chars().next() {
                let (c, length) = escape_at(rest).map_or((c, c.len_utf8()), |c| (c, 3));
                name.push(c);
                rest = &rest[length..];
            }
            name
        });
        Ok(Self(names.collect()))
    }
}

/// The character that an escape at the beginning of the text stands for.
fn escape_at(text: &str) -> Option<char> {
    let head = text.get(..3)?;
    ESCAPES.iter().find(|(escape, _)| head.eq_ignore_ascii_case(escape)).map(|(_, c)| *c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_folder_is_found_by_the_name_a_person_types() {
        let path: FolderPath = "Kunden/50 % Rabatt/a%2fb%3Ac".parse().unwrap();
        assert_eq!(path.0, ["Kunden", "50 % Rabatt", "a/b:c"]);
        assert_eq!(path.to_string(), "Kunden/50 % Rabatt/a%2Fb%3Ac");
        assert_eq!("".parse::<FolderPath>().unwrap(), FolderPath::default());
    }

    proptest! {
        #[test]
        fn a_printed_path_names_the_same_folder(names in prop::collection::vec("[a-c/:%235AF]{1,6}", 0..4)) {
            let path = FolderPath(names);
            prop_assert_eq!(path.to_string().parse::<FolderPath>().unwrap(), path);
        }
    }
}
