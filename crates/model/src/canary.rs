//! What a canary is recognised by.

use std::{fmt, fmt::Write as _, str::FromStr};

/// The header field of a message that a canary's mark stands in. Graph lets a sender set fields whose
/// names begin with `X-` (<https://learn.microsoft.com/graph/api/resources/internetmessageheader>).
pub const CANARY_HEADER: &str = "X-Mailkeep-Canary";

/// The mark of one canary: 32 random bytes. Whoever does not have the message cannot guess it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CanaryMark(String);

/// A text that is no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCanaryMark;

impl CanaryMark {
    /// The mark that these bytes are.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    /// 64 hexadecimal digits, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CanaryMark {
    type Err = NoCanaryMark;

    /// Exactly what [`CanaryMark::as_str`] gives, and nothing like it.
    fn from_str(text: &str) -> Result<Self, NoCanaryMark> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoCanaryMark)
        }
    }
}

/// Whoever reads a log is not to learn what a canary is recognised by.
impl fmt::Debug for CanaryMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_text_of_a_mark_is_one() {
        let mark = CanaryMark::from_bytes(&[0xa7; 32]);
        assert_eq!(mark.as_str().parse::<CanaryMark>().as_ref(), Ok(&mark));
        let upper = mark.as_str().to_uppercase();
        for other in ["", "a7", upper.as_str(), &format!("{} ", mark.as_str())] {
            assert_eq!(other.parse::<CanaryMark>(), Err(NoCanaryMark), "{other:?}");
        }
        assert_eq!(format!("{mark:?}"), "[redacted]");
    }
}
