//! Secrets that are known by the words in front of them: "password: …", "le mot de passe est …",
//! `api_key = "…"`, `Authorization: Basic …`.

use std::ops::Range;

use data_encoding::BASE64;
use mailkeep_model::Severity;

use super::{
    GUESSED, SAID, Secret,
    value::{Makeup, entropy, is_placeholder, is_random},
};

/// Words for a password, in lower case.
pub(super) const PASSWORD: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "passwort",
    "kennwort",
    "mot de passe",
    "contraseña",
    "contrasena",
    "contrasenya",
    "senha",
    "palavra-passe",
    "parola d'ordine",
    "parola",
    "wachtwoord",
    "lösenord",
    "adgangskode",
    "passord",
    "salasana",
    "hasło",
    "hasła",
    "heslo",
    "jelszó",
    "jelszava",
    "lozinka",
    "geslo",
    "şifre",
    "κωδικός",
    "пароль",
    "парола",
    "パスワード",
    "暗証番号",
    "密码",
    "密碼",
    "비밀번호",
    "รหัสผ่าน",
    "mật khẩu",
    "kata sandi",
    "סיסמה",
    "كلمة المرور",
    "कूटशब्द",
];

/// Words for a key or token, in lower case.
pub(super) const KEY: &[&str] = &[
    "api_key",
    "apikey",
    "api-key",
    "api key",
    "access_key",
    "accesskey",
    "access key",
    "secret_key",
    "secretkey",
    "secret key",
    "client_secret",
    "clientsecret",
    "client secret",
    "client-secret",
    "secret",
    "access_token",
    "accesstoken",
    "access token",
    "auth_token",
    "authtoken",
    "refresh_token",
    "bearer",
    "token",
    "private_token",
    "encryption_key",
    "credential",
];

/// How far from the word its value can be.
const NEAR: usize = 120;
/// Bytes between a password's word and "is".
const SUBJECT: usize = 45;
const LONGEST_PASSWORD: usize = 64;

/// How a value is tied to its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tie {
    /// `:` or `=`.
    Sign,
    /// "is", in one of its languages.
    Verb,
    /// Nothing: "password k0ffeE27".
    Beside,
}

/// A password (or PIN, or passphrase) and how surely it is one.
pub(super) fn password(text: &str, trigger: Range<usize>) -> Option<Secret> {
    if !begins_word(text, trigger.start) || in_address(text, trigger.start) {
        return None;
    }
    let to = text.floor_char_boundary((trigger.end + NEAR).min(text.len()));
    let rest = &text[trigger.end..to];
    let (tie, at) = tie(rest)?;
    let (value, quoted) = value_at(rest, at, tie)?;
    let severity = believe(&rest[value.clone()], &rest[value.end..], tie, quoted)?;
    Some(Secret {
        place: trigger.end + value.start..trigger.end + value.end,
        entity: "SECRET_PASSWORD",
        title: "password",
        severity,
        certainty: if severity > Severity::Low { SAID } else { GUESSED },
    })
}

fn begins_word(text: &str, start: usize) -> bool {
    let wide = text[start..].starts_with(|c: char| c >= '\u{e00}');
    wide || !text[..start].chars().next_back().is_some_and(char::is_alphanumeric)
}

/// Whether the word is part of an address ("/reset-password?id=…").
fn in_address(text: &str, start: usize) -> bool {
    let from = text.floor_char_boundary(start.saturating_sub(200));
    let word = text[from..start]
        .rsplit(|c: char| c.is_whitespace() || c == '"')
        .next()
        .unwrap_or_default();
    word.contains("://") || word.starts_with("www.")
}

/// What ties the word to what follows, and where that begins.
fn tie(rest: &str) -> Option<(Tie, usize)> {
    // The rest of the word ("passwords" are not one; "password1:" is a name).
    let name = rest
        .find(|c: char| {
            !(c.is_ascii_digit() || matches!(c, '_' | '"' | '\'' | '*' | '`' | ')' | ']' | '>'))
        })
        .unwrap_or(rest.len());
    let tail = &rest[name..];
    let spaces = tail.len() - tail.trim_start_matches([' ', '\t', '\u{a0}', '*']).len();
    let signed = &tail[spaces..];
    if let Some(sign) = signed.chars().next().filter(|c| matches!(c, ':' | '=' | '：' | '＝')) {
        let mut at = name + spaces + sign.len_utf8();
        // "=>", ":=", "=="
        at += rest[at..].bytes().take_while(|b| matches!(b, b'=' | b'>')).count();
        return Some((Tie::Sign, at));
    }
    if let Some(at) = verb(tail) {
        return Some((Tie::Verb, name + at));
    }
    (spaces > 0).then_some((Tie::Beside, name + spaces))
}

/// Where the value begins behind "… for the portal is ".
fn verb(tail: &str) -> Option<usize> {
    const VERBS: &[&str] = &[
        " is: ",
        " is ",
        " ist: ",
        " ist ",
        " lautet: ",
        " lautet ",
        " est: ",
        " est ",
        " es: ",
        " es ",
        " è ",
        " é: ",
        " é ",
        " jest ",
        " to ",
        " är ",
        " er ",
        " on ",
        " olur ",
        " - ",
        " – ",
        " — ",
        "は",
        "是",
        "为",
        "為",
        "는 ",
        "은 ",
    ];
    let limit = tail.floor_char_boundary(SUBJECT.min(tail.len()));
    let subject = &tail[..limit];
    // The sentence must not end in between.
    let subject =
        &subject[..subject.find(['.', '\n', '?', '!', ';', ',']).unwrap_or(subject.len())];
    VERBS.iter().filter_map(|verb| subject.find(verb).map(|at| at + verb.len())).min()
}

/// The value, and whether it stands in quotes.
fn value_at(rest: &str, at: usize, tie: Tie) -> Option<(Range<usize>, bool)> {
    let mut start =
        at + rest[at..].len() - rest[at..].trim_start_matches([' ', '\t', '\u{a0}', '*']).len();
    // "Password:" with the value on the next line.
    if tie == Tie::Sign && rest[start..].trim_start_matches('\r').starts_with('\n') {
        start += rest[start..].find(|c: char| !c.is_whitespace())?;
    }
    let quote = rest[start..].chars().next()?;
    let closing = match quote {
        '"' | '\'' | '`' => Some(quote),
        '“' => Some('”'),
        '„' => Some('“'),
        '«' => Some('»'),
        _ => None,
    };
    if let Some(closing) = closing {
        let inside = start + quote.len_utf8();
        if let Some(length) =
            rest[inside..].find(closing).filter(|&length| (3..=LONGEST_PASSWORD).contains(&length))
        {
            return Some((inside..inside + length, true));
        }
    }
    let end = start
        + rest[start..]
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '”' | '»' | '。' | '、'))
            .unwrap_or(rest.len() - start);
    let value = rest[start..end].trim_end_matches(['.', ',', ';', ':', ')', ']', '\'', '`', '*']);
    Some((start..start + value.len(), false))
}

/// Whether a value looks like a password, by how it is tied to the word.
fn believe(value: &str, behind: &str, tie: Tie, quoted: bool) -> Option<Severity> {
    let length = value.chars().count();
    if !(4..=LONGEST_PASSWORD).contains(&length)
        || is_placeholder(value)
        || is_talk(value)
        || value.contains("://")
    {
        return None;
    }
    let makeup = Makeup::of(value);
    // "k0ffeE", "Soleil!": what no word of a sentence looks like.
    let inner = value.trim_end_matches(['!', '?', '…', '=']);
    let mixed = makeup.letters()
        && (makeup.digit
            || Makeup::of(inner).special
            || inner.len() < value.len() && !value.ends_with('=') && makeup.upper)
        || inner.chars().skip(1).any(char::is_uppercase) && makeup.lower;
    let spaced = value.contains(' ');
    match tie {
        Tie::Sign | Tie::Verb if mixed && (!spaced || quoted) => Some(Severity::High),
        Tie::Beside if mixed && makeup.digit && length >= 6 && !is_measure(value) => {
            Some(Severity::Medium)
        }
        Tie::Sign if quoted && makeup.letters() => Some(Severity::Medium),
        // One word and then nothing: hardly the beginning of a sentence. Codes of digits are mostly
        // of conferences.
        Tie::Sign | Tie::Verb if !spaced && length >= 4 && ends_sentence(behind) => {
            Some(Severity::Low)
        }
        _ => None,
    }
}

/// Whether nothing more is said in the sentence.
fn ends_sentence(behind: &str) -> bool {
    let behind = behind.trim_start_matches([' ', '\t', '"', '\'', '”', ')']);
    behind.is_empty() && behind.len() < NEAR || behind.starts_with(['\n', '\r', '.'])
}

/// "12pm", "8-character", "2nd".
fn is_measure(value: &str) -> bool {
    let digits = value
        .bytes()
        .take_while(|b| b.is_ascii_digit() || matches!(b, b'.' | b':' | b'-' | b'/'))
        .count();
    digits > 0 && value[digits..].bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

/// What follows the word when passwords are talked about.
fn is_talk(value: &str) -> bool {
    const TALK: &[&str] = &[
        "required",
        "reset",
        "changed",
        "change",
        "expired",
        "expires",
        "expire",
        "protected",
        "correct",
        "incorrect",
        "wrong",
        "invalid",
        "valid",
        "none",
        "null",
        "true",
        "false",
        "n/a",
        "blank",
        "empty",
        "case",
        "sensitive",
        "case-sensitive",
        "same",
        "needed",
        "not",
        "your",
        "the",
        "below",
        "above",
        "attached",
        "enclosed",
        "here",
        "there",
        "and",
        "or",
        "please",
        "will",
        "must",
        "should",
        "can",
        "could",
        "this",
        "that",
        "what",
        "which",
        "has",
        "have",
        "been",
        "sent",
        "set",
        "in",
        "for",
        "from",
        "with",
        "secure",
        "secret",
        "confidential",
        "forgotten",
        "forgot",
        "lost",
        "stored",
        "hashed",
        "encrypted",
        "unknown",
        "optional",
        "now",
        "also",
        "only",
        "about",
        "being",
        "easy",
        "weak",
        "strong",
        "important",
        "to",
        "you",
        "it",
        "an",
        "erforderlich",
        "falsch",
        "abgelaufen",
        "nicht",
        "requis",
        "oublié",
        "incorrecto",
        "obligatorio",
        "password",
        "username",
        "user",
        "login",
        "email",
        "e-mail",
        "mail",
        "id",
        "see",
        "when",
        "if",
        "as",
        "at",
        "on",
        "by",
        "is",
    ];
    let lower = value.to_lowercase();
    let word = lower.trim_matches(|c: char| !c.is_alphanumeric());
    TALK.contains(&word) || TALK.contains(&word.trim_end_matches("'s"))
}

/// A value of high entropy behind a word for keys and tokens, tied by a sign.
pub(super) fn key(text: &str, trigger: Range<usize>) -> Option<Secret> {
    if in_address(text, trigger.start) {
        return None;
    }
    let to = text.floor_char_boundary((trigger.end + NEAR * 3).min(text.len()));
    let rest = &text[trigger.end..to];
    let name = rest
        .find(|c: char| {
            !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '"' | '\'' | ']' | ')'))
        })
        .unwrap_or(rest.len());
    if name > 24 {
        return None;
    }
    let after = rest[name..].trim_start_matches([' ', '\t']);
    let sign = after.chars().next().filter(|c| matches!(c, ':' | '='))?;
    let after = after[sign.len_utf8()..].trim_start_matches(['=', '>']);
    let after = after.trim_start_matches([' ', '\t', '"', '\'', '`']);
    let length = after
        .bytes()
        .take_while(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'/' | b'=' | b'.' | b'~')
        })
        .count();
    let value = after[..length].trim_end_matches(['.', '-', '_']);
    let makeup = Makeup::of(value);
    let good = (16..=200).contains(&value.len())
        && makeup.digit
        && makeup.letters()
        && entropy(value) >= 3.4
        && is_random(value)
        && !is_placeholder(value)
        && !is_name(value);
    let start = to - after.len();
    good.then_some(Secret {
        place: start..start + value.len(),
        entity: "SECRET_GENERIC",
        title: "key or token",
        severity: Severity::Medium,
        certainty: SAID,
    })
}

/// A path, a host or words joined by dashes: made by people, not by chance.
fn is_name(value: &str) -> bool {
    let longest =
        value.split(|c: char| !c.is_ascii_alphabetic()).map(str::len).max().unwrap_or_default();
    let words = value
        .split(['-', '_', '.', '/'])
        .filter(|part| part.len() > 2 && part.bytes().all(|b| b.is_ascii_lowercase()));
    words.count() >= 2 || longest == value.len()
}

/// `Authorization: Basic …` (RFC 7617) and `Bearer …` (RFC 6750).
pub(super) fn authorization(text: &str, trigger: Range<usize>) -> Option<Secret> {
    let to = text.floor_char_boundary((trigger.end + 2_000).min(text.len()));
    let rest = text[trigger.end..to].trim_start_matches([' ', '\t', '"', '\'', ':']);
    let (scheme, tail) =
        rest.split_at(rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()));
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    let value = if is("basic") || is("bearer") || is("token") { tail.trim_start() } else { rest };
    let length = value
        .bytes()
        .take_while(|b| {
            b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'<' | b'>' | b',' | b';')
        })
        .count();
    let value = &value[..length];
    let good = if is("basic") {
        BASE64.decode(value.as_bytes()).is_ok_and(|pair| pair.contains(&b':'))
            || value.len() >= 16 && is_random(value)
    } else {
        value.len() >= 16 && Makeup::of(value).digit && is_random(value)
    };
    let start = value.as_ptr() as usize - text.as_ptr() as usize;
    (good && !is_placeholder(value)).then_some(Secret {
        place: start..start + value.len(),
        entity: "SECRET_AUTHORIZATION",
        title: "credentials of a request",
        severity: Severity::High,
        certainty: SAID,
    })
}
