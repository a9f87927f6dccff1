//! How a value looks: whether somebody made it up as a placeholder, and how random it is.

/// Bits a character, by how often each character occurs (Shannon).
pub(super) fn entropy(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    value.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = value.len().max(1) as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / length)
        .map(|share| -share * share.log2())
        .sum()
}

/// Whether it stands for a value that is to be put there.
pub(super) fn is_placeholder(value: &str) -> bool {
    const MARKS: &[&str] = &[
        "example",
        "your",
        "xxxx",
        "****",
        "....",
        "placeholder",
        "changeme",
        "redacted",
        "dummy",
        "insert",
        "____",
        "-----",
        "todo",
        "<",
        "{{",
        "${",
        "$(",
        "%s",
        "%(",
        "&lt;",
        "…",
        "••",
    ];
    let lower = value.to_ascii_lowercase();
    MARKS.iter().any(|mark| lower.contains(mark))
        || counts_up(lower.as_bytes())
        || value.bytes().all(|byte| byte == value.as_bytes()[0])
        || value.starts_with(['$', '%', '[', '{'])
}

/// Whether somebody went along the alphabet: `abcdefgh`. Numbers that count up are given out.
fn counts_up(value: &[u8]) -> bool {
    const LONG: usize = 8;
    let mut run = 1;
    value.windows(2).any(|pair| {
        run = if pair[1] == pair[0].wrapping_add(1) && pair[0].is_ascii_lowercase() {
            run + 1
        } else {
            1
        };
        run >= LONG
    })
}

/// Whether digits, letters or both alternate as in something random: enough different characters
/// for its length.
pub(super) fn is_random(value: &str) -> bool {
    // A random value of n characters of 16 or more kinds reaches this in all but one of a
    // thousand; words, counts and repetitions do not.
    let wanted = match value.len() {
        0..=11 => 2.2,
        12..=19 => 2.6,
        20..=31 => 2.9,
        _ => 3.1,
    };
    entropy(value) >= wanted
}

/// What a value is made of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Makeup {
    pub(super) lower: bool,
    pub(super) upper: bool,
    pub(super) digit: bool,
    pub(super) special: bool,
}

impl Makeup {
    pub(super) fn of(value: &str) -> Self {
        let mut makeup = Self::default();
        for c in value.chars() {
            match c {
                '0'..='9' => makeup.digit = true,
                // Apostrophes and hyphens are in words as well.
                '\'' | '’' | '-' => {}
                c if c.is_uppercase() => makeup.upper = true,
                c if c.is_alphabetic() => makeup.lower = true,
                _ => makeup.special = true,
            }
        }
        makeup
    }

    pub(super) fn letters(self) -> bool {
        self.lower || self.upper
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_values_are_told_from_made_up_ones() {
        assert!(is_random("k9XbT2mQ7vRz4LpWc8NdY5sHf3JgA6eKuVxC"));
        assert!(!is_random("aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbb"));
        assert!(entropy("abcd") > 1.99 && entropy("aaaa") < 0.01);
        for value in
            ["xxxxxxxx", "k1abcdefghz", "<token>", "YOUR_TOKEN", "${TOKEN}", "********", "%s"]
        {
            assert!(is_placeholder(value), "{value}");
        }
    }
}
