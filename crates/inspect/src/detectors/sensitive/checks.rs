//! Check digits. Each entity's row says which one it has; what several share is here.
//!
//! All functions take the characters of a number without its separators, letters in upper case.

/// The value of a digit; letters count as in ISO/IEC 7064 and the IBAN: A = 10 … Z = 35.
pub(super) fn value(character: u8) -> u32 {
    match character {
        b'0'..=b'9' => u32::from(character - b'0'),
        b'A'..=b'Z' => u32::from(character - b'A') + 10,
        _ => 0,
    }
}

/// The sum of the digits, each by its weight.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(&digit, weight)| value(digit) * weight).sum()
}

/// The sum of the digit sums of the weighted digits ("12" counts as 3).
pub(super) fn weighted_digit_sums(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(&digit, weight)| value(digit) * weight)
        .map(|product| product / 10 + product % 10)
        .sum()
}

/// Whether the last of the digits is `check`.
pub(super) fn ends_with(digits: &[u8], check: u32) -> bool {
    digits.last().is_some_and(|&last| last.is_ascii_digit() && value(last) == check)
}

/// The number that digits are.
pub(super) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, &digit| number * 10 + u64::from(value(digit)))
}

/// ISO/IEC 7812-1 annex B, over all digits with the check digit last.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| match (index % 2, value(digit)) {
            (0, digit) => digit,
            (_, digit @ 0..=4) => digit * 2,
            (_, digit) => digit * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO/IEC 7064 MOD 11,10, over all digits with the check digit last.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((&last, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, &digit| {
        let sum = (value(digit) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (value(last) + product) % 10 == 1
}

/// ISO/IEC 7064 MOD 97-10 of letters and digits.
pub(super) fn mod_97(characters: impl Iterator<Item = u8>) -> u32 {
    characters.map(value).fold(0, |rest, value| {
        if value > 9 { (rest * 100 + value) % 97 } else { (rest * 10 + value) % 97 }
    })
}

/// ISO/IEC 7064 MOD 11-2 (the last may be an X).
pub(super) fn mod_11_2(characters: &[u8]) -> bool {
    let Some((&last, body)) = characters.split_last() else { return false };
    let rest = body.iter().fold(0, |rest, &digit| (rest + value(digit)) * 2 % 11);
    (rest + if last == b'X' { 10 } else { value(last) }) % 11 == 1
}

/// Verhoeff's dihedral check (J. Verhoeff, *Error detecting decimal codes*, 1969).
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    /// The product in the dihedral group of order ten.
    fn product(a: u32, b: u32) -> u32 {
        match (a < 5, b < 5) {
            (true, true) => (a + b) % 5,
            (true, false) => (a + b) % 5 + 5,
            (false, true) => (a + 5 - b) % 5 + 5,
            (false, false) => (a + 5 - b) % 5,
        }
    }
    const PERMUTATION: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let sum = digits.iter().rev().enumerate().fold(0, |sum, (index, &digit)| {
        let permuted =
            (0..index % 8).fold(value(digit), |digit, _| PERMUTATION[digit as usize % 10]);
        product(sum, permuted)
    });
    sum == 0
}

/// The check digit of machine-readable travel documents over letters and digits (ICAO Doc 9303
/// part 3, section 4.9).
pub(super) fn icao(characters: &[u8]) -> u32 {
    characters
        .iter()
        .zip([7, 3, 1].iter().cycle())
        .map(|(&c, weight)| value(c) * weight)
        .sum::<u32>()
        % 10
}

/// Whether the digits are a day of a month (and, where 29 February matters, any year has it).
pub(super) fn day(month: &[u8], day: &[u8]) -> bool {
    let longest = match number(month) {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=longest).contains(&number(day))
}

/// Whether six digits are year, month and day, two each.
pub(super) fn yymmdd(digits: &[u8]) -> bool {
    digits.len() >= 6 && day(&digits[2..4], &digits[4..6])
}

/// Whether six digits are day, month and year, two each.
pub(super) fn ddmmyy(digits: &[u8]) -> bool {
    digits.len() >= 6 && day(&digits[2..4], &digits[..2])
}

/// Whether eight digits are a date of 1880 to 2049 in the order year, month, day.
pub(super) fn yyyymmdd(digits: &[u8]) -> bool {
    digits.len() >= 8
        && (1880..2050).contains(&number(&digits[..4]))
        && day(&digits[4..6], &digits[6..8])
}

/// One character all along is a placeholder.
pub(super) fn all_same(characters: &[u8]) -> bool {
    characters.windows(2).all(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The one digit that makes a check right.
    fn check_digit(body: &str, check: impl Fn(&[u8]) -> bool) -> Vec<char> {
        ('0'..='9').filter(|digit| check(format!("{body}{digit}").as_bytes())).collect()
    }

    #[test]
    fn every_scheme_lets_one_digit_of_ten_through() {
        for body in ["123456789", "000000001", "987654320", "55555"] {
            assert_eq!(check_digit(body, luhn).len(), 1);
            assert_eq!(check_digit(body, mod_11_10).len(), 1);
            assert_eq!(check_digit(body, verhoeff).len(), 1);
        }
        // Worked examples of the standards and papers.
        assert_eq!(check_digit("7992739871", luhn), ['3']);
        assert_eq!(check_digit("0794", mod_11_10), ['5']);
        assert_eq!(check_digit("236", verhoeff), ['3']);
        assert!(mod_11_2(b"079X") && mod_11_2(b"07940") && !mod_11_2(b"07941"));
        assert_eq!(mod_97(b"79444".iter().copied()), 1);
        assert_eq!(icao(b"L898902C3"), 6);
    }

    #[test]
    fn dates_that_no_calendar_has_are_none() {
        assert!(yymmdd(b"000229") && yyyymmdd(b"19991231") && ddmmyy(b"311299"));
        assert!(!yymmdd(b"001301") && !yymmdd(b"000431") && !yyyymmdd(b"18790101"));
    }
}
