//! Tokens that their makers gave a form: a beginning, an alphabet, a length, some a checksum.
//!
//! Sources are each vendor's page on token formats, and for most of them the list of GitHub's
//! partner program ("Supported secret scanning patterns").

use std::ops::Range;

use mailkeep_model::Severity;

use super::{CERTAIN, SAID, Secret, value};

/// A form.
#[derive(Clone, Copy)]
pub(super) struct Token {
    pub(super) prefix: &'static str,
    entity: &'static str,
    title: &'static str,
    alphabet: Alphabet,
    /// How many characters of the alphabet follow the prefix.
    length: (usize, usize),
    severity: Severity,
}

impl Token {
    pub(super) fn entity(&self) -> &'static str {
        self.entity
    }
}

#[derive(Clone, Copy)]
enum Alphabet {
    /// Letters and digits.
    Alnum,
    /// And `-` and `_`.
    Url,
    /// And `.`.
    Dotted,
    /// And `+`, `/` and `=`.
    Base64,
    Hex,
    /// RFC 4648's, in upper case.
    Base32,
    UpperAlnum,
    Letters,
    /// Letters and digits in groups between dashes, the first of digits.
    Grouped,
    /// `-`, `_`, `.`, `~` and letters and digits.
    Unreserved,
}

use Alphabet::{Alnum, Base32, Base64, Dotted, Grouped, Hex, Letters, UpperAlnum, Url};
use Severity::{High, Medium};

const fn token(
    prefix: &'static str,
    entity: &'static str,
    title: &'static str,
    alphabet: Alphabet,
    length: (usize, usize),
) -> Token {
    Token { prefix, entity, title, alphabet, length, severity: High }
}

/// One that is half of a pair, or that its maker does not call a secret.
const fn weaker(token: Token) -> Token {
    Token { severity: Medium, ..token }
}

const AWS: &str = "AWS access key";
const GITHUB: &str = "GitHub token";
const GITLAB: &str = "GitLab token";
const SLACK: &str = "Slack token";

/// All of them.
pub(super) const TOKENS: &[Token] = &[
    // Clouds. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    token("AKIA", "SECRET_AWS_ACCESS_KEY", AWS, Base32, (16, 16)),
    token("ASIA", "SECRET_AWS_ACCESS_KEY", AWS, Base32, (16, 16)),
    token("ABIA", "SECRET_AWS_ACCESS_KEY", AWS, Base32, (16, 16)),
    token("ACCA", "SECRET_AWS_ACCESS_KEY", AWS, Base32, (16, 16)),
    token(
        "ABSKQmVkcm9ja0FQSUtleS",
        "SECRET_AWS_BEDROCK_KEY",
        "AWS Bedrock key",
        Base64,
        (100, 140),
    ),
    weaker(token("AIza", "SECRET_GOOGLE_API_KEY", "Google API key", Url, (35, 35))),
    token("ya29.", "SECRET_GOOGLE_OAUTH_TOKEN", "Google OAuth token", Url, (40, 1_000)),
    token("GOCSPX-", "SECRET_GOOGLE_CLIENT_SECRET", "Google client secret", Url, (28, 28)),
    token("AccountKey=", "SECRET_AZURE_KEY", "Azure storage key", Base64, (88, 88)),
    token("SharedAccessKey=", "SECRET_AZURE_KEY", "Azure shared access key", Base64, (43, 44)),
    token("LTAI", "SECRET_ALIBABA_ACCESS_KEY", "Alibaba access key", Alnum, (17, 21)),
    token("AKID", "SECRET_TENCENT_SECRET_ID", "Tencent secret id", Alnum, (32, 32)),
    token("dop_v1_", "SECRET_DIGITALOCEAN_TOKEN", "DigitalOcean token", Hex, (64, 64)),
    token("doo_v1_", "SECRET_DIGITALOCEAN_TOKEN", "DigitalOcean token", Hex, (64, 64)),
    token("dor_v1_", "SECRET_DIGITALOCEAN_TOKEN", "DigitalOcean token", Hex, (64, 64)),
    token("HRKU-AA", "SECRET_HEROKU_KEY", "Heroku key", Url, (58, 58)),
    token("AQVN", "SECRET_YANDEX_KEY", "Yandex Cloud key", Url, (35, 38)),
    token("tskey-auth-", "SECRET_TAILSCALE_KEY", "Tailscale key", Url, (16, 64)),
    token("tskey-api-", "SECRET_TAILSCALE_KEY", "Tailscale key", Url, (16, 64)),
    token("fly_", "SECRET_FLY_TOKEN", "Fly.io token", Url, (40, 700)),
    token("nfp_", "SECRET_NETLIFY_TOKEN", "Netlify token", Alnum, (36, 40)),
    token("sbp_", "SECRET_SUPABASE_KEY", "Supabase key", Hex, (40, 40)),
    token("pscale_tkn_", "SECRET_PLANETSCALE_TOKEN", "PlanetScale token", Dotted, (32, 64)),
    token("pscale_pw_", "SECRET_PLANETSCALE_TOKEN", "PlanetScale password", Dotted, (32, 64)),
    token("dapi", "SECRET_DATABRICKS_TOKEN", "Databricks token", Hex, (32, 32)),
    token("hvs.", "SECRET_VAULT_TOKEN", "Vault token", Url, (24, 300)),
    token("hvb.", "SECRET_VAULT_TOKEN", "Vault batch token", Url, (100, 400)),
    token("pul-", "SECRET_PULUMI_TOKEN", "Pulumi token", Hex, (40, 40)),
    token("dp.pt.", "SECRET_DOPPLER_TOKEN", "Doppler token", Alnum, (40, 44)),
    token("dp.st.", "SECRET_DOPPLER_TOKEN", "Doppler token", Dotted, (40, 80)),
    token("ops_eyJ", "SECRET_1PASSWORD_TOKEN", "1Password token", Base64, (200, 2_000)),
    token("AGE-SECRET-KEY-1", "SECRET_PRIVATE_KEY", "age private key", UpperAlnum, (58, 58)),
    token("p8e-", "SECRET_ADOBE_CLIENT_SECRET", "Adobe client secret", Alnum, (32, 32)),
    // Code. https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/
    token("ghp_", "SECRET_GITHUB_TOKEN", GITHUB, Alnum, (36, 36)),
    token("gho_", "SECRET_GITHUB_TOKEN", GITHUB, Alnum, (36, 36)),
    token("ghu_", "SECRET_GITHUB_TOKEN", GITHUB, Alnum, (36, 36)),
    token("ghs_", "SECRET_GITHUB_TOKEN", GITHUB, Alnum, (36, 36)),
    token("ghr_", "SECRET_GITHUB_TOKEN", GITHUB, Alnum, (36, 76)),
    token("github_pat_", "SECRET_GITHUB_TOKEN", GITHUB, Url, (82, 82)),
    // https://docs.gitlab.com/security/tokens/#token-prefixes
    token("glpat-", "SECRET_GITLAB_TOKEN", GITLAB, Dotted, (20, 60)),
    token("gldt-", "SECRET_GITLAB_TOKEN", GITLAB, Url, (20, 50)),
    token("glft-", "SECRET_GITLAB_TOKEN", GITLAB, Url, (20, 50)),
    token("glsoat-", "SECRET_GITLAB_TOKEN", GITLAB, Url, (20, 50)),
    token("glrt-", "SECRET_GITLAB_TOKEN", GITLAB, Dotted, (20, 60)),
    token("glcbt-", "SECRET_GITLAB_TOKEN", GITLAB, Url, (20, 26)),
    token("glimt-", "SECRET_GITLAB_TOKEN", GITLAB, Url, (25, 25)),
    token("glptt-", "SECRET_GITLAB_TOKEN", GITLAB, Url, (40, 40)),
    token("glagent-", "SECRET_GITLAB_TOKEN", GITLAB, Url, (50, 1_024)),
    token("gloas-", "SECRET_GITLAB_TOKEN", GITLAB, Url, (64, 64)),
    token("GR1348941", "SECRET_GITLAB_TOKEN", GITLAB, Url, (20, 50)),
    token("ATATT3xFfGF0", "SECRET_ATLASSIAN_TOKEN", "Atlassian token", Base64, (170, 220)),
    token("ATBB", "SECRET_BITBUCKET_PASSWORD", "Bitbucket app password", Alnum, (32, 32)),
    token("npm_", "SECRET_NPM_TOKEN", "npm token", Alnum, (36, 36)),
    token("pypi-AgEIcHlwaS5vcmc", "SECRET_PYPI_TOKEN", "PyPI token", Url, (70, 1_000)),
    token("pypi-AgENdGVzdC5weXBpLm9yZw", "SECRET_PYPI_TOKEN", "PyPI token", Url, (70, 1_000)),
    token("rubygems_", "SECRET_RUBYGEMS_KEY", "RubyGems key", Hex, (48, 48)),
    token("dckr_pat_", "SECRET_DOCKER_TOKEN", "Docker token", Url, (27, 40)),
    token("AKCp", "SECRET_ARTIFACTORY_KEY", "Artifactory key", Alnum, (69, 69)),
    token("AKC", "SECRET_ARTIFACTORY_KEY", "Artifactory key", Alnum, (10, 10)),
    token("cmVmd", "SECRET_ARTIFACTORY_KEY", "Artifactory reference token", Alnum, (59, 59)),
    token("sgp_", "SECRET_SOURCEGRAPH_TOKEN", "Sourcegraph token", Hex, (40, 40)),
    token("sgp_local_", "SECRET_SOURCEGRAPH_TOKEN", "Sourcegraph token", Hex, (40, 40)),
    token("sntrys_", "SECRET_SENTRY_TOKEN", "Sentry token", Base64, (100, 1_000)),
    token("sntryu_", "SECRET_SENTRY_TOKEN", "Sentry token", Hex, (64, 64)),
    token("NRAK-", "SECRET_NEW_RELIC_KEY", "New Relic key", UpperAlnum, (27, 27)),
    token("glsa_", "SECRET_GRAFANA_TOKEN", "Grafana token", Url, (41, 41)),
    token("glc_", "SECRET_GRAFANA_TOKEN", "Grafana token", Base64, (32, 400)),
    token("PMAK-", "SECRET_POSTMAN_KEY", "Postman key", Url, (59, 59)),
    token("pnu_", "SECRET_PREFECT_KEY", "Prefect key", Alnum, (36, 36)),
    token("rdme_", "SECRET_README_KEY", "ReadMe key", Alnum, (70, 70)),
    token("API-", "SECRET_OCTOPUS_KEY", "Octopus Deploy key", UpperAlnum, (26, 26)),
    token("ico-", "SECRET_INFRACOST_KEY", "Infracost key", Alnum, (32, 32)),
    token("s-s4t2ud-", "SECRET_INTRA42_SECRET", "42 intra secret", Hex, (64, 64)),
    token("s-s4t2af-", "SECRET_INTRA42_SECRET", "42 intra secret", Hex, (64, 64)),
    token(":_authToken=", "SECRET_NPM_TOKEN", "npm token", Url, (36, 36)),
    // Messaging and mail. https://api.slack.com/authentication/token-types
    token("xoxb-", "SECRET_SLACK_TOKEN", SLACK, Grouped, (24, 160)),
    token("xoxp-", "SECRET_SLACK_TOKEN", SLACK, Grouped, (24, 160)),
    token("xoxa-", "SECRET_SLACK_TOKEN", SLACK, Grouped, (24, 160)),
    token("xoxr-", "SECRET_SLACK_TOKEN", SLACK, Grouped, (24, 160)),
    token("xoxs-", "SECRET_SLACK_TOKEN", SLACK, Grouped, (24, 160)),
    token("xoxe-", "SECRET_SLACK_TOKEN", SLACK, Grouped, (100, 250)),
    token("xapp-", "SECRET_SLACK_TOKEN", SLACK, Grouped, (24, 160)),
    token("SG.", "SECRET_SENDGRID_KEY", "SendGrid key", Dotted, (66, 66)),
    token("key-", "SECRET_MAILGUN_KEY", "Mailgun key", Hex, (32, 32)),
    token("xkeysib-", "SECRET_BREVO_KEY", "Brevo key", Url, (81, 81)),
    token("EAA", "SECRET_FACEBOOK_TOKEN", "Facebook token", Alnum, (100, 300)),
    // Money. https://docs.stripe.com/keys
    token("sk_live_", "SECRET_STRIPE_KEY", "Stripe key", Alnum, (24, 247)),
    token("rk_live_", "SECRET_STRIPE_KEY", "Stripe key", Alnum, (24, 247)),
    token("whsec_", "SECRET_STRIPE_KEY", "Stripe webhook secret", Base64, (32, 64)),
    weaker(token("sk_test_", "SECRET_STRIPE_KEY", "Stripe test key", Alnum, (24, 247))),
    token("sq0atp-", "SECRET_SQUARE_TOKEN", "Square token", Url, (22, 22)),
    token("sq0csp-", "SECRET_SQUARE_TOKEN", "Square secret", Url, (43, 43)),
    token("access_token$production$", "SECRET_PAYPAL_TOKEN", "Braintree token", Alnum, (16, 50)),
    token("shpat_", "SECRET_SHOPIFY_TOKEN", "Shopify token", Hex, (32, 32)),
    token("shpss_", "SECRET_SHOPIFY_TOKEN", "Shopify secret", Hex, (32, 32)),
    token("shpca_", "SECRET_SHOPIFY_TOKEN", "Shopify token", Hex, (32, 32)),
    token("shppa_", "SECRET_SHOPIFY_TOKEN", "Shopify token", Hex, (32, 32)),
    token("EZAK", "SECRET_EASYPOST_KEY", "EasyPost key", Alnum, (54, 54)),
    token("FLWSECK-", "SECRET_FLUTTERWAVE_KEY", "Flutterwave key", Alnum, (32, 40)),
    // Models and tools.
    token("sk-ant-api03-", "SECRET_ANTHROPIC_KEY", "Anthropic key", Url, (95, 95)),
    token("sk-ant-admin01-", "SECRET_ANTHROPIC_KEY", "Anthropic admin key", Url, (95, 95)),
    token("hf_", "SECRET_HUGGINGFACE_TOKEN", "Hugging Face token", Letters, (34, 34)),
    token("api_org_", "SECRET_HUGGINGFACE_TOKEN", "Hugging Face token", Letters, (34, 34)),
    token("pplx-", "SECRET_PERPLEXITY_KEY", "Perplexity key", Alnum, (48, 48)),
    token("gsk_", "SECRET_GROQ_KEY", "Groq key", Alnum, (52, 52)),
    token("r8_", "SECRET_REPLICATE_TOKEN", "Replicate token", Alnum, (37, 37)),
    token("xai-", "SECRET_XAI_KEY", "xAI key", Alnum, (80, 80)),
    token("ntn_", "SECRET_NOTION_TOKEN", "Notion token", Alnum, (46, 46)),
    token("secret_", "SECRET_NOTION_TOKEN", "Notion token", Alnum, (43, 43)),
    token("lin_api_", "SECRET_LINEAR_KEY", "Linear key", Alnum, (40, 40)),
    token("figd_", "SECRET_FIGMA_TOKEN", "Figma token", Url, (40, 42)),
    token("aio_", "SECRET_ADAFRUIT_KEY", "Adafruit key", Alnum, (28, 28)),
];

/// Reads the token behind its prefix.
pub(super) fn read(token: &Token, text: &str, prefix: Range<usize>) -> Option<Secret> {
    if joined_before(text, prefix.start, token.prefix) {
        return None;
    }
    let rest = &text.as_bytes()[prefix.end..];
    let spaces = rest.iter().take_while(|&&b| b == b' ').count();
    // "key= value" is how people copy it; a token of one piece has no space in it.
    let gap = if token.prefix.ends_with('=') && spaces == 1 { 1 } else { 0 };
    let body_start = prefix.end + gap;
    let (_, most) = token.length;
    let length = rest[gap..].iter().take(most + 1).take_while(|&&b| token.alphabet.has(b)).count();
    let length = length - trailing_dots(&text[body_start..body_start + length]);
    let (fewest, most) = token.length;
    if length < fewest || length > most {
        return None;
    }
    let end = body_start + length;
    let body = &text[body_start..end];
    if joined_behind(text, end)
        || value::is_placeholder(body)
        || !value::is_random(body)
        || !structure(token, body)
    {
        return None;
    }
    let assigned = token.prefix.ends_with('=');
    Some(Secret {
        place: if assigned { body_start..end } else { prefix.start..end },
        entity: token.entity,
        title: token.title,
        severity: token.severity,
        certainty: CERTAIN,
    })
}

/// What the form says besides its alphabet.
fn structure(token: &Token, body: &str) -> bool {
    let digit = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match token.entity {
        // https://api.slack.com/authentication/token-types: ids of digits, then the secret.
        "SECRET_SLACK_TOKEN" => {
            let mut groups = body.split('-');
            let first = groups.next().unwrap_or_default();
            let long_enough =
                first.len() >= 8 || token.prefix == "xapp-" || token.prefix == "xoxe-";
            long_enough && digit(first) && groups.next_back().is_some_and(|last| last.len() >= 16)
        }
        "SECRET_SENDGRID_KEY" => body.as_bytes()[22] == b'.' && !body[23..].contains('.'),
        "SECRET_ANTHROPIC_KEY" => body.ends_with("AA"),
        "SECRET_AZURE_KEY" => body.ends_with('='),
        "SECRET_NOTION_TOKEN" if token.prefix == "ntn_" => digit(&body[..11]),
        "SECRET_GRAFANA_TOKEN" if token.prefix == "glsa_" => body.as_bytes()[32] == b'_',
        "SECRET_NPM_TOKEN" if token.prefix == ":_authToken=" => body.as_bytes()[8] == b'-',
        "SECRET_GOOGLE_API_KEY" => has_upper_and_digit(body),
        "SECRET_GITHUB_TOKEN"
        | "SECRET_FACEBOOK_TOKEN"
        | "SECRET_ALIBABA_ACCESS_KEY"
        | "SECRET_BITBUCKET_PASSWORD" => has_upper_and_digit(body),
        _ => true,
    }
}

fn has_upper_and_digit(body: &str) -> bool {
    body.bytes().any(|b| b.is_ascii_uppercase()) && body.bytes().any(|b| b.is_ascii_digit())
}

/// A full stop at the end is the sentence's.
fn trailing_dots(body: &str) -> usize {
    body.len() - body.trim_end_matches('.').len()
}

fn joined_before(text: &str, start: usize, prefix: &str) -> bool {
    // What begins with punctuation has something in front of it.
    prefix.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text[..start].chars().next_back().is_some_and(|c| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '-') && !prefix.ends_with('=')
        })
}

fn joined_behind(text: &str, end: usize) -> bool {
    text[end..].chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Url | Self::Grouped => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
            }
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
            Self::Base64 => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
            }
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Base32 => matches!(byte, b'A'..=b'Z' | b'2'..=b'7'),
            Self::UpperAlnum => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Letters => byte.is_ascii_alphabetic(),
            Self::Unreserved => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
            }
        }
    }

    /// How many characters of the alphabet stand at the end of a text, up to a limit.
    fn behind(self, text: &str, most: usize) -> usize {
        text.bytes().rev().take(most).take_while(|&b| self.has(b)).count()
    }

    fn ahead(self, text: &str, most: usize) -> usize {
        text.bytes().take(most).take_while(|&b| self.has(b)).count()
    }
}

/// A token that is known by what is in its middle.
fn around(
    text: &str,
    trigger: Range<usize>,
    alphabet: Alphabet,
    before: Range<usize>,
    behind: Range<usize>,
    named: (&'static str, &'static str),
) -> Option<Secret> {
    let left = alphabet.behind(&text[..trigger.start], before.end);
    let right = alphabet.ahead(&text[trigger.end..], behind.end);
    if !before.contains(&left) || !behind.contains(&right) {
        return None;
    }
    let place = trigger.start - left..trigger.end + right;
    let value = &text[place.clone()];
    let good = value::is_random(value) && !value::is_placeholder(value);
    good.then_some(Secret {
        place,
        entity: named.0,
        title: named.1,
        severity: High,
        certainty: CERTAIN,
    })
}

/// Entra ID's client secrets: three characters, a digit, `Q~`, and 31 to 34 more.
pub(super) fn entra_secret(text: &str, trigger: Range<usize>) -> Option<Secret> {
    let named = ("SECRET_ENTRA_CLIENT_SECRET", "Entra client secret");
    let secret = around(text, trigger.clone(), Alphabet::Unreserved, 4..5, 31..36, named)?;
    text.as_bytes()[trigger.start - 1].is_ascii_digit().then_some(secret)
}

/// OpenAI's keys have the word OpenAI, in base64, in their middle.
pub(super) fn openai(text: &str, trigger: Range<usize>) -> Option<Secret> {
    let secret = around(text, trigger, Url, 20..120, 20..120, ("SECRET_OPENAI_KEY", "OpenAI key"))?;
    text[secret.place.clone()].starts_with("sk-").then_some(secret)
}

/// Azure DevOps tokens: 84 characters, with `AZDO` in front of the last four.
pub(super) fn devops(text: &str, trigger: Range<usize>) -> Option<Secret> {
    around(text, trigger, Alnum, 76..77, 4..5, ("SECRET_AZURE_DEVOPS_TOKEN", "Azure DevOps token"))
}

/// https://core.telegram.org/bots/features#botfather: the bot's number, a colon, 35 characters.
pub(super) fn telegram(text: &str, trigger: Range<usize>) -> Option<Secret> {
    let number =
        text[..trigger.start].bytes().rev().take(11).take_while(u8::is_ascii_digit).count();
    let key = Url.ahead(&text[trigger.end..], 34);
    let start = trigger.start - number;
    let good = (8..=10).contains(&number) && key == 33 && !joined_before(text, start, "1");
    good.then_some(Secret {
        place: start..trigger.end + key,
        entity: "SECRET_TELEGRAM_TOKEN",
        title: "Telegram bot token",
        severity: High,
        certainty: CERTAIN,
    })
    .filter(|secret| value::is_random(&text[secret.place.clone()]))
}

/// 32 digits of hexadecimal in lower case and the data centre.
pub(super) fn mailchimp(text: &str, trigger: Range<usize>) -> Option<Secret> {
    let key = Hex.behind(&text[..trigger.start], 33);
    let centre = text[trigger.end..].bytes().take(3).take_while(u8::is_ascii_digit).count();
    let start = trigger.start - key;
    let value = &text[start..trigger.start];
    let good = key == 32
        && (1..=2).contains(&centre)
        && !joined_behind(text, trigger.end + centre)
        && !value.bytes().any(|b| b.is_ascii_uppercase())
        && value::is_random(value);
    good.then_some(Secret {
        place: start..trigger.end + centre,
        entity: "SECRET_MAILCHIMP_KEY",
        title: "Mailchimp key",
        severity: High,
        certainty: CERTAIN,
    })
}

/// Discord's bots: their number in base64, six characters, and a mark, between dots
/// (<https://discord.com/developers/docs/reference#authentication>). Numbers begin with `M`, `N` or `O`
/// in base64 until 2039.
pub(super) fn discord(text: &str, trigger: Range<usize>) -> Option<Secret> {
    let rest = &text[trigger.end..];
    // A full stop asks; hardly any has another so far behind it.
    if rest.as_bytes().get(6) != Some(&b'.') {
        return None;
    }
    let number = Url.behind(&text[..trigger.start], 29);
    let start = trigger.start - number;
    let time = Url.ahead(rest, 7);
    let mark = rest.get(time + 1..).map_or(0, |rest| Url.ahead(rest, 39));
    let end = trigger.end + time + 1 + mark;
    let good = (23..=28).contains(&number)
        && time == 6
        && (27..=38).contains(&mark)
        && matches!(text.as_bytes()[start], b'M' | b'N' | b'O')
        && !joined_before(text, start, "M");
    let value = text.get(start..end)?;
    (good && !value::is_placeholder(value) && value::is_random(value)).then_some(Secret {
        place: start..end,
        entity: "SECRET_DISCORD_TOKEN",
        title: "Discord bot token",
        severity: High,
        certainty: CERTAIN,
    })
}

/// Facebook's application tokens: the application's number, a bar, 27 characters
/// (<https://developers.facebook.com/docs/facebook-login/guides/access-tokens>).
pub(super) fn facebook(text: &str, trigger: Range<usize>) -> Option<Secret> {
    let number =
        text[..trigger.start].bytes().rev().take(18).take_while(u8::is_ascii_digit).count();
    let key = Url.ahead(&text[trigger.end..], 28);
    let start = trigger.start - number;
    let value = &text[trigger.end..trigger.end + key];
    let good = (15..=17).contains(&number)
        && key == 27
        && has_upper_and_digit(value)
        && !joined_before(text, start, "1")
        && value::is_random(value);
    good.then_some(Secret {
        place: start..trigger.end + key,
        entity: "SECRET_FACEBOOK_TOKEN",
        title: "Facebook application token",
        severity: High,
        certainty: CERTAIN,
    })
}

/// Sourcegraph's tokens of today: sixteen hexadecimal digits of the instance in front of the token
/// (<https://sourcegraph.com/docs/cli/how-tos/creating_an_access_token>).
pub(super) fn sourcegraph(text: &str, trigger: Range<usize>) -> Option<Secret> {
    let rest = &text[trigger.end..];
    let instance = Hex.ahead(rest, 17);
    let token = rest.get(instance + 1..).map_or(0, |rest| Hex.ahead(rest, 41));
    let end = trigger.end + instance + 1 + token;
    let good = instance == 16
        && rest.as_bytes().get(instance) == Some(&b'_')
        && token == 40
        && !joined_before(text, trigger.start, "sgp_")
        && !joined_behind(text, end);
    good.then_some(Secret {
        place: trigger.start..end,
        entity: "SECRET_SOURCEGRAPH_TOKEN",
        title: "Sourcegraph token",
        severity: High,
        certainty: CERTAIN,
    })
    .filter(|secret| value::is_random(&text[secret.place.clone()]))
}

/// Terraform Cloud's: 14 characters, `.atlasv1.`, and 60 to 70 more.
pub(super) fn terraform(text: &str, trigger: Range<usize>) -> Option<Secret> {
    around(text, trigger, Url, 14..15, 60..71, ("SECRET_TERRAFORM_TOKEN", "Terraform token"))
}

/// Twilio's key and account ids have no form of their own beyond two letters and hexadecimal: its
/// name has to stand near them.
pub(super) fn twilio(text: &str, trigger: Range<usize>) -> Option<Secret> {
    const NEAR: usize = 120;
    let to = text.floor_char_boundary((trigger.end + NEAR).min(text.len()));
    let near = &text[trigger.end..to];
    let offset = ["SK", "AC"].iter().filter_map(|prefix| near.find(prefix)).min()?;
    let start = trigger.end + offset;
    let length = Hex.ahead(&text[start + 2..], 33);
    let good = length == 32
        && !joined_behind(text, start + 2 + length)
        && !joined_before(text, start, "SK")
        && value::is_random(&text[start + 2..start + 2 + length]);
    good.then_some(Secret {
        place: start..start + 2 + length,
        entity: "SECRET_TWILIO_KEY",
        title: "Twilio key",
        severity: Medium,
        certainty: SAID,
    })
}
