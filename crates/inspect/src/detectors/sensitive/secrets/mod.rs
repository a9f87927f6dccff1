//! Secrets: keys and tokens that their makers gave a form, private keys, and passwords that people
//! write to each other.
//!
//! One pass over the text finds the beginnings of all of them ([`Triggers`]); each then reads on by
//! itself.

mod assigned;
mod jwt;
mod pem;
mod tokens;
mod urls;
mod value;

use std::{ops::Range, sync::LazyLock};

use mailkeep_model::{Category, Severity};

use super::{super::Detector, mask};
use crate::{Context, findings::Findings, message::MessageView, starts::Starts};

pub(crate) const SECRET: Detector =
    Detector { name: "secret", category: Category::Sensitive, run: find };

/// Something secret in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Secret {
    /// The value alone, without what introduces it.
    place: Range<usize>,
    entity: &'static str,
    title: &'static str,
    severity: Severity,
    /// Of secrets that overlap the more certain stays.
    certainty: u8,
}

/// A form that only this kind of secret has.
const CERTAIN: u8 = 2;
/// Words in front of it say that it is one.
const SAID: u8 = 1;
/// So does its place, but hardly its look.
const GUESSED: u8 = 0;

/// What reads on behind a trigger: the text, where the trigger begins and ends.
type Reader = fn(&str, Range<usize>) -> Option<Secret>;

struct Triggers {
    starts: Starts,
    readers: Vec<Trigger>,
}

#[derive(Clone, Copy)]
struct Trigger {
    text: &'static str,
    /// Whether the case of its letters matters.
    exact: bool,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Token(usize),
    Reader(Reader),
}

static TRIGGERS: LazyLock<Triggers> = LazyLock::new(|| {
    let tokens = tokens::TOKENS.iter().enumerate().map(|(row, token)| Trigger {
        text: token.prefix,
        exact: true,
        kind: Kind::Token(row),
    });
    let exact: &[(&[&'static str], Reader)] = &[
        (&["eyJ"], jwt::read),
        (&["-----BEGIN ", "PuTTY-User-Key-File-"], pem::read),
        (&["://"], urls::credentials),
        (&["T3BlbkFJ"], tokens::openai),
        (&["AZDO"], tokens::devops),
        (&[":AA"], tokens::telegram),
        (&["-us"], tokens::mailchimp),
        (&[".atlasv1."], tokens::terraform),
        (&["sgp_"], tokens::sourcegraph),
        (
            &[
                "hooks.slack.com/services/T",
                "discord.com/api/webhooks/",
                "discordapp.com/api/webhooks/",
                ".webhook.office.com/webhookb2/",
            ],
            urls::webhook,
        ),
    ];
    let relaxed: &[(&[&'static str], Reader)] = &[
        (&["authorization:", "authorization\":"], assigned::authorization),
        (assigned::PASSWORD, assigned::password),
        (assigned::KEY, assigned::key),
        (&["twilio"], tokens::twilio),
    ];
    let of = |exact: bool| {
        move |(texts, reader): &(&'static [&'static str], Reader)| {
            let reader = *reader;
            texts.iter().map(move |&text| Trigger { text, exact, kind: Kind::Reader(reader) })
        }
    };
    let readers: Vec<Trigger> = tokens
        .chain(exact.iter().flat_map(of(true)))
        .chain(relaxed.iter().flat_map(of(false)))
        .collect();
    Triggers { starts: Starts::of(readers.iter().map(|trigger| trigger.text)), readers }
});

/// Secrets of one text that are looked at; those that are reported are fewer.
const MOST: usize = 8_000;

impl Triggers {
    /// All secrets of a text, by where they begin.
    fn secrets(&self, text: &str) -> Vec<Secret> {
        let mut secrets: Vec<Secret> = Vec::new();
        self.starts.each(text.as_bytes(), |number, at| {
            let trigger = &self.readers[number];
            let place = at..at + trigger.text.len();
            if trigger.exact && text[place.clone()] != *trigger.text {
                return true;
            }
            secrets.extend(match trigger.kind {
                Kind::Token(row) => tokens::read(&tokens::TOKENS[row], text, place),
                Kind::Reader(reader) => reader(text, place),
            });
            secrets.len() < MOST
        });
        // What is known by one character in its middle.
        for at in memchr::memchr3_iter(b'~', b'.', b'|', text.as_bytes()) {
            let read = match text.as_bytes()[at] {
                b'~' if text[..at].ends_with('Q') => tokens::entra_secret(text, at - 1..at + 1),
                b'.' => tokens::discord(text, at..at + 1),
                b'|' => tokens::facebook(text, at..at + 1),
                _ => None,
            };
            secrets.extend(read);
            if secrets.len() >= 2 * MOST {
                break;
            }
        }
        secrets.sort_by_key(|secret| (secret.place.start, secret.place.end));
        secrets
    }
}

/// Every entity that this detector reports.
pub(super) fn entity_names() -> impl Iterator<Item = &'static str> {
    tokens::TOKENS.iter().map(tokens::Token::entity).chain([
        "SECRET_AUTHORIZATION",
        "SECRET_AZURE_DEVOPS_TOKEN",
        "SECRET_DISCORD_TOKEN",
        "SECRET_ENTRA_CLIENT_SECRET",
        "SECRET_GENERIC",
        "SECRET_JWT",
        "SECRET_MAILCHIMP_KEY",
        "SECRET_OPENAI_KEY",
        "SECRET_PASSWORD",
        "SECRET_TELEGRAM_TOKEN",
        "SECRET_TERRAFORM_TOKEN",
        "SECRET_TWILIO_KEY",
        "SECRET_URL_CREDENTIALS",
        "SECRET_WEBHOOK",
    ])
}

fn find(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let triggers = &*TRIGGERS;
    for (index, field) in view.fields.iter().enumerate() {
        let text = field.readable();
        let mut last: Option<Secret> = None;
        let report = |secret: Secret, findings: &mut Findings| {
            let value = &text[secret.place.clone()];
            let evidence = mask::evidence(secret.title, secret.entity, value, context);
            let place = field.place(secret.place);
            findings.add(index, place, secret.severity, secret.entity.to_owned(), evidence);
        };
        for secret in triggers.secrets(text) {
            last = match last.take() {
                Some(before)
                    if secret.place.start < before.place.end
                        && before.place.start < secret.place.end =>
                {
                    Some(better(before, secret))
                }
                Some(before) => {
                    report(before, findings);
                    if findings.overflow() {
                        return;
                    }
                    Some(secret)
                }
                None => Some(secret),
            };
        }
        if let Some(secret) = last {
            report(secret, findings);
        }
    }
}

/// Of two that overlap: the more certain, then the longer, then the first.
fn better(before: Secret, other: Secret) -> Secret {
    let rank = |secret: &Secret| (secret.certainty, secret.place.len());
    if rank(&other) > rank(&before) { other } else { before }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, MaskKey, detectors::sensitive::secrets, message::view_text};

    #[test]
    fn every_entity_that_is_reported_can_be_named_in_a_policy() {
        let names: std::collections::BTreeSet<&str> = entity_names().collect();
        for source in [
            include_str!("assigned.rs"),
            include_str!("jwt.rs"),
            include_str!("pem.rs"),
            include_str!("tokens.rs"),
            include_str!("urls.rs"),
        ] {
            for quoted in source.split('"').filter(|part| part.starts_with("SECRET_")) {
                assert!(names.contains(quoted), "{quoted}");
            }
        }
    }

    /// Entity, severity and text of all secrets.
    pub(super) fn found(text: &str) -> Vec<(String, Severity, String)> {
        let key = MaskKey::from_bytes([7; 32]);
        let context = Context::new(time::OffsetDateTime::UNIX_EPOCH, &[], &key);
        let view = view_text(text, &Limits::default());
        let mut findings = Findings::new(100);
        findings.begin(&secrets::SECRET);
        find(&view, &context, &mut findings);
        findings
            .finish(&view)
            .into_iter()
            .map(|f| {
                let value: String = text.chars().skip(f.start).take(f.end - f.start).collect();
                assert!(value.len() < 12 || !f.evidence.contains(&value), "{}", f.evidence);
                (f.entity, f.severity, value)
            })
            .collect()
    }

    /// A value of so many characters that nobody gave out.
    fn made(alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        let mut seed = 20_261_127_u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            letters[(seed >> 16) as usize % letters.len()]
        };
        (0..length).map(|_| random()).collect()
    }

    const ALNUM: &str = "k9XbT2mQ7vRz4LpWc8NdY5sHf3JgA6eKuVxC1Bt0qMnZwPyDrSjEhGiFaUoIlO";

    #[test]
    fn a_token_is_found_by_its_form_and_named() {
        let hex = made("0f1e2d3c4b5a6978", 64);
        for (text, entity) in [
            (
                format!("use AKIA{} for it", made("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
                "SECRET_AWS_ACCESS_KEY",
            ),
            (format!("token ghp_{}", made(ALNUM, 36)), "SECRET_GITHUB_TOKEN"),
            (format!("glpat-{}", made(ALNUM, 20)), "SECRET_GITLAB_TOKEN"),
            (format!("xoxb-123456789012-234567890123-{}", made(ALNUM, 24)), "SECRET_SLACK_TOKEN"),
            (format!("STRIPE=sk_live_{}", made(ALNUM, 24)), "SECRET_STRIPE_KEY"),
            (format!("SG.{}.{}", made(ALNUM, 22), made(ALNUM, 43)), "SECRET_SENDGRID_KEY"),
            (format!("\"npm_{}\"", made(ALNUM, 36)), "SECRET_NPM_TOKEN"),
            (format!("AIza{}", made(ALNUM, 35)), "SECRET_GOOGLE_API_KEY"),
            (format!("dop_v1_{hex}"), "SECRET_DIGITALOCEAN_TOKEN"),
            (format!("AccountKey={}==", made(ALNUM, 86)), "SECRET_AZURE_KEY"),
            (format!("secret: aB38Q~{}", made(ALNUM, 34)), "SECRET_ENTRA_CLIENT_SECRET"),
            (format!("hvs.{}", made(ALNUM, 90)), "SECRET_VAULT_TOKEN"),
            (format!("12345678:AA{}", made(ALNUM, 33)), "SECRET_TELEGRAM_TOKEN"),
            (format!("{}-us12", made("0f1e2d3c4b5a6978", 32)), "SECRET_MAILCHIMP_KEY"),
            (format!("M{}.YmTrQw.{}", made(ALNUM, 23), made(ALNUM, 27)), "SECRET_DISCORD_TOKEN"),
            (format!("911602140448729|{}", made(ALNUM, 27)), "SECRET_FACEBOOK_TOKEN"),
            (
                format!("sgp_{}_{}", made("0f1e2d3c4b5a6978", 16), made("0f1e2d3c4b5a6978", 40)),
                "SECRET_SOURCEGRAPH_TOKEN",
            ),
            ("https://ann:k9XbT2mQ7v@db.example.com/x".to_owned(), "SECRET_URL_CREDENTIALS"),
        ] {
            let found = found(&text);
            assert!(
                matches!(&found[..], [(name, severity, _)] if name == entity && *severity > Severity::Low),
                "{text}: {found:?}"
            );
        }
    }

    #[test]
    fn placeholders_and_pieces_of_other_words_are_no_tokens() {
        for text in [
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".to_owned(),
            format!("xghp_{}", made(ALNUM, 36)),
            format!("ghp_{}", made(ALNUM, 44)),
            "xoxb-your-token".to_owned(),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            "https://example.com/a@b".to_owned(),
            "https://ann:@example.com/".to_owned(),
            "https://user:<password>@example.com/".to_owned(),
            "AccountKey=<your key>".to_owned(),
            "the secret: it is a surprise".to_owned(),
            "eyJhbGciOiJub25lIn0".to_owned(),
        ] {
            assert_eq!(found(&text), [], "{text}");
        }
    }

    #[test]
    fn a_password_is_found_in_prose_of_many_languages() {
        for (text, value) in [
            ("the admin password: k0ffeE!27", "k0ffeE!27"),
            ("Your new password is Winter2031!, please change it", "Winter2031!"),
            ("login ann / pwd=s3cretWord", "s3cretWord"),
            ("Das Passwort lautet Sommer-77.", "Sommer-77"),
            ("Le mot de passe est Soleil77!", "Soleil77!"),
            ("La contraseña es Verano_88", "Verano_88"),
            ("a senha é Praia#99 ok", "Praia#99"),
            ("hasło: Zima2030", "Zima2030"),
            ("пароль: Zima2030", "Zima2030"),
            ("パスワードは Sakura77! です", "Sakura77!"),
            ("password for the portal is \"Nine Lives 9\"", "Nine Lives 9"),
            ("Username: ann\nPassword:\nk0ffeE27\n", "k0ffeE27"),
            ("Password = \"k0ffeE27\"", "k0ffeE27"),
        ] {
            let found = found(text);
            assert!(
                matches!(&found[..], [(name, severity, v)] if name == "SECRET_PASSWORD" && *severity > Severity::Low && v == value),
                "{text}: {found:?}"
            );
        }
        // A word alone is a hint.
        assert!(
            matches!(&found("Our password is moonlight.")[..], [(_, Severity::Low, v)] if v == "moonlight")
        );
    }

    #[test]
    fn talk_about_passwords_is_not_a_password() {
        for text in [
            "Please reset your password.",
            "password: ********",
            "Password: <your password>",
            "the password is required",
            "Your password will expire in 14 days",
            "password must be 8 characters",
            "I forgot my password: can you help?",
            "The password was sent to you separately.",
            "Zoom 384 837 261 67 passcode in invite",
            "https://example.com/reset-password?id=k9XbT2",
            "password protected",
            "He needs his password reset. 25 users wait",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn a_private_key_is_one_finding_from_its_beginning_to_its_end() {
        let body = made(ALNUM, 64);
        let pem = format!(
            "-----BEGIN RSA PRIVATE KEY-----\n{body}\n{body}\n-----END RSA PRIVATE KEY-----"
        );
        let text = format!("é here it is:\n{pem}\nbye");
        assert_eq!(found(&text), [("SECRET_PRIVATE_KEY".to_owned(), Severity::High, pem)]);
        for text in [
            format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"),
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----".to_owned(),
            format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----"),
        ] {
            assert_eq!(found(&text), [], "{text}");
        }
    }

    #[test]
    fn a_token_of_three_parts_is_one_when_its_header_is() {
        let part = |json: &str| data_encoding::BASE64URL_NOPAD.encode(json.as_bytes());
        let token = format!(
            "{}.{}.{}",
            part(r#"{"alg":"HS256","typ":"JWT"}"#),
            part(r#"{"sub":"1"}"#),
            made(ALNUM, 43)
        );
        let text = format!("Authorization: Bearer {token}");
        assert_eq!(found(&text), [("SECRET_JWT".to_owned(), Severity::High, token)]);
        let text = format!("{}.{}.x", part(r#"{"kind":"other"}"#), part(r#"{"sub":"1"}"#));
        assert_eq!(found(&text), []);
    }
}
