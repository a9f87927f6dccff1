/// Who issues cards under a range of numbers (the first digits: IIN, ISO/IEC 7812-1).
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) name: &'static str,
    pub(super) prevalence: Prevalence,
    /// First and last number of the range, of equal length.
    first: &'static str,
    last: &'static str,
    lengths: &'static [usize],
}

/// How much a number in the range says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prevalence {
    /// Enough with its check digit.
    Common,
    /// Rare cards, or lengths that other numbers have as well: words must speak for it.
    Rare,
}

use Prevalence::{Common, Rare};

/// More special ranges stand in front of those that contain them.
const ISSUERS: &[Issuer] = &[
    issuer("Visa", Common, "4", "4", &[16]),
    issuer("Visa", Rare, "4", "4", &[13, 18, 19]),
    issuer("Mastercard", Common, "51", "55", &[16]),
    issuer("Mastercard", Common, "2221", "2720", &[16]),
    issuer("American Express", Common, "34", "34", &[15]),
    issuer("American Express", Common, "37", "37", &[15]),
    issuer("Discover", Common, "6011", "6011", &[16]),
    issuer("Discover", Common, "644", "649", &[16]),
    issuer("Discover", Common, "65", "65", &[16]),
    issuer("Discover", Rare, "6011", "6011", &[17, 18, 19]),
    issuer("Discover", Rare, "644", "659", &[17, 18, 19]),
    issuer("Diners Club", Common, "300", "305", &[14, 16]),
    issuer("Diners Club", Common, "3095", "3095", &[14, 16]),
    issuer("Diners Club", Common, "36", "36", &[14, 16]),
    issuer("Diners Club", Common, "38", "39", &[14, 16]),
    issuer("Diners Club", Rare, "36", "36", &[15, 17, 18, 19]),
    issuer("Diners Club", Rare, "38", "39", &[17, 18, 19]),
    issuer("JCB", Common, "3528", "3589", &[16]),
    issuer("JCB", Rare, "3528", "3589", &[17, 18, 19]),
    issuer("UnionPay", Common, "62", "62", &[16]),
    issuer("UnionPay", Rare, "62", "62", &[17, 18, 19]),
    issuer("Dankort", Rare, "5019", "5019", &[16]),
    issuer("Elo", Rare, "5066", "5067", &[16]),
    issuer("Elo", Rare, "5090", "5092", &[16]),
    issuer("InstaPayment", Rare, "637", "639", &[16]),
    issuer("Maestro", Common, "6759", "6759", &[16]),
    issuer("Maestro", Common, "6761", "6763", &[16]),
    issuer("Maestro", Rare, "50", "50", &[13, 14, 15, 16, 17, 18, 19]),
    issuer("Maestro", Rare, "56", "58", &[13, 14, 15, 16, 17, 18, 19]),
    issuer("RuPay", Rare, "60", "60", &[16]),
    issuer("RuPay", Rare, "81", "82", &[16]),
    issuer("Maestro", Rare, "60", "69", &[13, 14, 15, 16, 17, 18, 19]),
    issuer("Mir", Rare, "2200", "2204", &[16, 17, 18, 19]),
    issuer("Troy", Rare, "9792", "9792", &[16]),
    issuer("UATP", Rare, "1", "1", &[15]),
];

const fn issuer(
    name: &'static str,
    prevalence: Prevalence,
    first: &'static str,
    last: &'static str,
    lengths: &'static [usize],
) -> Issuer {
    Issuer { name, prevalence, first, last, lengths }
}

/// The issuer of a number (digits only) whose check digit is right.
pub(super) fn of(digits: &str) -> Option<&'static Issuer> {
    // The cheap question first: nine of ten numbers fail it.
    if !luhn(digits) || is_pattern(digits) {
        return None;
    }
    ISSUERS.iter().find(|issuer| {
        let beginning = &digits[..issuer.first.len().min(digits.len())];
        (issuer.first..=issuer.last).contains(&beginning) && issuer.lengths.contains(&digits.len())
    })
}

/// The check digit of ISO/IEC 7812-1 annex B.
fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, byte)| {
            let digit = u32::from(byte - b'0');
            match (index % 2, digit) {
                (0, digit) => digit,
                (_, digit @ 0..=4) => digit * 2,
                (_, digit) => digit * 2 - 9,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// One digit all along is a placeholder.
fn is_pattern(digits: &str) -> bool {
    digits.bytes().all(|byte| digits.starts_with(char::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number with the right check digit, made here so that no real number stands in this file.
    fn number(beginning: &str, length: usize) -> String {
        let body: String =
            beginning.chars().chain("29480135767194830".chars()).take(length - 1).collect();
        (0..10).map(|check| format!("{body}{check}")).find(|number| luhn(number)).unwrap()
    }

    #[test]
    fn every_issuers_numbers_are_known_and_only_with_their_check_digit() {
        for (name, beginning, length) in [
            ("Visa", "4", 13),
            ("Visa", "4", 16),
            ("Visa", "4", 19),
            ("Mastercard", "55", 16),
            ("Mastercard", "2221", 16),
            ("Mastercard", "2720", 16),
            ("American Express", "37", 15),
            ("Discover", "6011", 16),
            ("Discover", "649", 16),
            ("Diners Club", "36", 14),
            ("JCB", "3528", 16),
            ("UnionPay", "62", 19),
            ("Maestro", "6759", 16),
            ("Maestro", "58", 13),
            ("Mir", "2204", 16),
        ] {
            let number = number(beginning, length);
            assert_eq!(of(&number).unwrap().name, name, "{number}");
            let (body, check) = number.split_at(length - 1);
            let wrong = (check.parse::<u32>().unwrap() + 1) % 10;
            assert!(of(&format!("{body}{wrong}")).is_none(), "{body}{wrong}");
        }
    }

    #[test]
    fn numbers_of_no_issuer_are_no_cards() {
        for (beginning, length) in
            [("4", 14), ("51", 15), ("2220", 16), ("2721", 16), ("37", 16), ("7", 16), ("0", 16)]
        {
            assert!(of(&number(beginning, length)).is_none(), "{beginning} {length}");
        }
        assert!(of("4444444444444444").is_none());
    }
}
