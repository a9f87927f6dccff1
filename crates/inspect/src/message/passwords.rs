//! Words of a message that may be the password of what is attached.

use super::view::Field;

/// What a password is called where it is told, in lower case.
const WORDS: &[&str] = &[
    "password",
    "passwort",
    "kennwort",
    "passcode",
    "pass code",
    "passphrase",
    "mot de passe",
    "contraseña",
    "contrasena",
    "senha",
    "wachtwoord",
    "parola",
    "hasło",
    "haslo",
    "heslo",
    "lösenord",
    "adgangskode",
    "salasana",
    "пароль",
    "密码",
    "パスワード",
    "pwd",
    "pin",
];

/// Bytes behind such a word in which the password is looked for.
const NEAR: usize = 80;
/// Passwords that are tried: each costs a key derivation.
const MOST: usize = 12;
/// Bytes of a field that are looked through.
const FIELD: usize = 64 << 10;

/// Candidates, the likeliest first.
pub(super) fn near_the_word(fields: &[Field]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let texts = fields.iter().filter(|f| f.name.ends_with("subject") || f.name.contains("body."));
    for field in texts {
        let text = field.readable();
        let text = &text[..text.floor_char_boundary(FIELD)];
        // Lower case may have another length; places are looked up in what was lowered.
        let lower = text.to_lowercase();
        let lower_is_aligned = lower.len() == text.len();
        for word in WORDS {
            for (at, _) in lower.match_indices(word) {
                let from = at + word.len();
                let text = if lower_is_aligned { text } else { &lower };
                let Some(rest) = text.get(from..text.floor_char_boundary(from + NEAR)) else {
                    continue;
                };
                for candidate in candidates(rest) {
                    if !found.contains(&candidate) {
                        found.push(candidate);
                    }
                }
            }
        }
    }
    found.truncate(MOST);
    found
}

/// Words behind "password", without the quotes around and the full stop behind them.
fn candidates(rest: &str) -> impl Iterator<Item = String> {
    const FILLERS: &[&str] = &[
        "is", "ist", "for", "the", "to", "file", "archive", "es", "est", "document", "zip", "and",
        "your",
    ];
    rest.split_whitespace()
        .map(|word| {
            word.trim_matches([
                '"', '\'', '`', ':', '=', '(', ')', '<', '>', '«', '»', '„', '“', '”', '*', ',',
                ';',
            ])
        })
        .filter(|word| {
            (3..=64).contains(&word.len()) && !FILLERS.contains(&word.to_lowercase().as_str())
        })
        .take(4)
        .flat_map(|word| {
            let shorter = word.trim_end_matches(['.', '!', '?']);
            [Some(word.to_owned()), (shorter != word).then(|| shorter.to_owned())]
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_that_stands_in_the_body_is_tried() {
        for body in [
            "The password is: Xy12!ab.",
            "Passwort: \"Xy12!ab\"",
            "See attached.\nPASSWORD FOR THE FILE = Xy12!ab\n",
        ] {
            let fields = [Field::plain("body.text".into(), body.into())];
            let found = near_the_word(&fields);
            assert!(found.iter().any(|word| word == "Xy12!ab"), "{body}: {found:?}");
        }
        assert!(near_the_word(&[Field::plain("body.text".into(), "hello".into())]).is_empty());
    }
}
