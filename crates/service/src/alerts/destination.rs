use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use mailkeep_model::Secret;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Bytes of an address, a token, or a word of a command line.
const LONGEST: usize = 2048;
/// Where PagerDuty takes events (<https://developer.pagerduty.com/docs/send-alert-event>).
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
/// The same for accounts in its European region.
const PAGERDUTY_EU: &str = "https://events.eu.pagerduty.com/v2/enqueue";

/// The name of a destination of alerts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct DestinationName(String);

impl DestinationName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DestinationName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=40).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err("a name of a destination has 1 to 40 of a-z, 0-9 and '-'".to_owned())
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a webhook understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Slack's incoming webhooks.
    Slack,
    /// A workflow of Microsoft Teams that posts an Adaptive Card.
    Teams,
    /// Mattermost's incoming webhooks.
    Mattermost,
    /// ntfy: the address is that of the topic.
    Ntfy,
    /// Everything, as JSON.
    Json,
}

/// How the connection to a relay is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayTls {
    /// From its first byte (port 465).
    Implicit,
    /// After the greeting, or not at all: without it nothing is sent (port 587).
    Starttls,
    /// Not protected.
    None,
}

/// Where exactly alerts go. Whoever knows it can write there, so the signer keeps it, and it prints as
/// `[redacted]`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Target {
    /// An address that takes requests.
    Webhook {
        /// What it understands.
        shape: Shape,
        /// The address.
        #[serde(with = "sealed")]
        url: Secret,
        /// What proves who we are (`Authorization: Bearer`), where the address alone does not.
        #[serde(default, with = "sealed_option")]
        token: Option<Secret>,
        /// Certificates (PEM) to trust instead of the system's.
        ca_pem: Option<String>,
    },
    /// PagerDuty's Events API v2.
    Pagerduty {
        /// Where it takes events.
        url: String,
        /// Which service they are for.
        #[serde(with = "sealed")]
        routing_key: Secret,
        /// Certificates (PEM) to trust instead of the system's.
        ca_pem: Option<String>,
    },
    /// Mail through a relay.
    Smtp {
        /// The relay's name or address.
        host: String,
        /// Its port.
        port: u16,
        /// How the connection is protected.
        tls: RelayTls,
        /// Whom we sign in as.
        user: Option<String>,
        /// With which password.
        #[serde(default, with = "sealed_option")]
        password: Option<Secret>,
        /// Sender.
        from: String,
        /// Recipients.
        to: Vec<String>,
        /// Certificates (PEM) to trust instead of the system's.
        ca_pem: Option<String>,
    },
    /// A program of the user's.
    Command {
        /// Its path.
        program: PathBuf,
        /// What it is given; the alert comes on its standard input.
        arguments: Vec<String>,
    },
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}([redacted])", self.kind())
    }
}

impl Target {
    /// PagerDuty, in the region of the account.
    pub fn pagerduty(routing_key: Secret, in_europe: bool) -> Self {
        let url = if in_europe { PAGERDUTY_EU } else { PAGERDUTY };
        Self::Pagerduty { url: url.to_owned(), routing_key, ca_pem: None }
    }

    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { shape: Shape::Slack, .. } => "slack",
            Self::Webhook { shape: Shape::Teams, .. } => "teams",
            Self::Webhook { shape: Shape::Mattermost, .. } => "mattermost",
            Self::Webhook { shape: Shape::Ntfy, .. } => "ntfy",
            Self::Webhook { shape: Shape::Json, .. } => "json",
            Self::Pagerduty { .. } => "pagerduty",
            Self::Smtp { .. } => "smtp",
            Self::Command { .. } => "command",
        }
    }

    /// Where it is, for people: nothing that opens it.
    pub fn host(&self) -> String {
        let of_url = |url: &str| {
            let url = Url::parse(url).ok();
            url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
        };
        match self {
            Self::Webhook { url, .. } => of_url(url.expose()),
            Self::Pagerduty { url, .. } => of_url(url),
            Self::Smtp { host, port, .. } => format!("{host}:{port}"),
            Self::Command { program, .. } => program
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        }
    }

    /// What is wrong with it, if anything. Nothing goes unprotected over a network, unless `plain`.
    ///
    /// # Errors
    /// What is wrong, without any secret.
    pub fn check(&self, plain: bool) -> Result<(), String> {
        match self {
            Self::Webhook { shape, url, token, .. } => {
                let url = checked_url(url.expose(), plain)?;
                if *shape == Shape::Ntfy && ntfy_topic(&url).is_none() {
                    return Err("the address of an ntfy topic ends with its name".to_owned());
                }
                token.as_ref().map_or(Ok(()), |token| is_word("the token", token.expose()))
            }
            Self::Pagerduty { url, routing_key, .. } => {
                checked_url(url, plain)?;
                is_word("the routing key", routing_key.expose())
            }
            Self::Smtp { host, tls, user, password, from, to, .. } => {
                is_word("the relay", host)?;
                if *tls == RelayTls::None && !plain && !is_loopback(host) {
                    return Err(format!(
                        "mail would go to {host} without TLS; if that is meant, say --plain"
                    ));
                }
                if user.is_some() != password.is_some() {
                    return Err("a user and a password belong together".to_owned());
                }
                if to.is_empty() {
                    return Err("nobody to send to; name an address with --to".to_owned());
                }
                for address in to.iter().chain([from]) {
                    let parsed = address.parse::<lettre::message::Mailbox>();
                    parsed.map_err(|error| format!("'{address}' is no address: {error}"))?;
                }
                Ok(())
            }
            Self::Command { program, arguments } => {
                if !program.is_absolute() {
                    return Err("name the program by its whole path".to_owned());
                }
                let words = arguments.iter().all(|word| word.len() <= LONGEST);
                if words { Ok(()) } else { Err("an argument is too long".to_owned()) }
            }
        }
    }

    /// As the signer keeps it.
    pub(crate) fn seal(&self) -> Secret {
        Secret::new(serde_json::to_string(self).expect("texts and numbers serialise"))
    }

    /// What the signer kept.
    pub(crate) fn unseal(sealed: &Secret) -> Option<Self> {
        serde_json::from_str(sealed.expose()).ok()
    }
}

fn checked_url(text: &str, plain: bool) -> Result<Url, String> {
    // The address itself is a secret and stays out of the message.
    let url = Url::parse(text).map_err(|error| format!("the address is not one: {error}"))?;
    let host = url.host().ok_or("the address names no host")?;
    let is_near = match host {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
        Host::Domain(name) => name == "localhost",
    };
    if text.len() > LONGEST {
        return Err("the address is too long".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_near || plain => Ok(url),
        "http" => Err("the address is not https; if that is meant, say --plain".to_owned()),
        _ => Err("the address begins with https://".to_owned()),
    }
}

/// What stands in a header or a JSON field and has no spaces.
fn is_word(what: &str, text: &str) -> Result<(), String> {
    let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    if graphic && (1..=LONGEST).contains(&text.len()) {
        return Ok(());
    }
    Err(format!("{what} has characters that do not belong there, or none, or too many"))
}

fn is_loopback(host: &str) -> bool {
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// Splits the address of a topic into that of its server and the topic's name
/// (<https://docs.ntfy.sh/publish/#publish-as-json>).
pub(crate) fn ntfy_topic(url: &Url) -> Option<(Url, String)> {
    let topic = url.path_segments()?.next_back()?.to_owned();
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !(1..=64).contains(&topic.len()) || !topic.bytes().all(allowed) {
        return None;
    }
    let mut server = url.clone();
    server.path_segments_mut().ok()?.pop().push("");
    Some((server, topic))
}

/// Into what the signer seals, and nowhere else.
mod sealed {
    use mailkeep_model::Secret;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

mod sealed_option {
    use mailkeep_model::Secret;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => to.serialize_some(secret.expose()),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Secret::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(shape: Shape, url: &str) -> Target {
        let url = Secret::new(url.to_owned());
        Target::Webhook { shape, url, token: None, ca_pem: None }
    }

    fn relay(host: &str, tls: RelayTls) -> Target {
        Target::Smtp {
            host: host.into(),
            port: 25,
            tls,
            user: None,
            password: None,
            from: "Mailkeep <alerts@out.example>".into(),
            to: vec!["ops@out.example".into()],
            ca_pem: None,
        }
    }

    #[test]
    fn an_alert_does_not_go_unprotected_over_a_network_unless_somebody_says_so() {
        let open = webhook(Shape::Slack, "http://hooks.example/x");
        assert!(open.check(false).is_err() && open.check(true).is_ok());
        for near in ["http://127.0.0.1:1/x", "http://[::1]/x", "http://localhost/x"] {
            assert_eq!(webhook(Shape::Json, near).check(false), Ok(()), "{near}");
        }
        for bad in ["ftp://hooks.example/x", "hooks.example", "", "file:///etc/passwd"] {
            assert!(webhook(Shape::Json, bad).check(true).is_err(), "{bad}");
        }
        assert!(relay("mail.example", RelayTls::None).check(false).is_err());
        assert!(relay("mail.example", RelayTls::None).check(true).is_ok());
        assert!(relay("mail.example", RelayTls::Starttls).check(false).is_ok());
        assert!(relay("::1", RelayTls::None).check(false).is_ok());
        assert!(relay("127.0.0.1.example", RelayTls::None).check(false).is_err());
    }

    #[test]
    fn what_opens_a_destination_is_neither_printed_nor_shown() {
        let target = webhook(Shape::Slack, "https://u:pw@hooks.example/T0/B0/sEcReT?k=v");
        assert_eq!(target.host(), "hooks.example");
        assert!(!format!("{target:?}").contains("sEcReT"));
        let again = Target::unseal(&target.seal()).unwrap();
        assert_eq!(again.seal().expose(), target.seal().expose());
        let error = webhook(Shape::Slack, "http://hooks.example/sEcReT").check(false).unwrap_err();
        assert!(!error.contains("sEcReT"));
    }

    #[test]
    fn a_topic_of_ntfy_is_told_from_its_server() {
        let split = |text: &str| {
            ntfy_topic(&text.parse().unwrap()).map(|(url, topic)| (url.to_string(), topic))
        };
        let found = |url: &str, topic: &str| Some((url.to_owned(), topic.to_owned()));
        assert_eq!(split("https://ntfy.sh/my-topic"), found("https://ntfy.sh/", "my-topic"));
        assert_eq!(split("https://a.example/n/t_1"), found("https://a.example/n/", "t_1"));
        for none in ["https://ntfy.sh/", "https://ntfy.sh/a%20b", "https://ntfy.sh/t/"] {
            assert_eq!(split(none), None, "{none}");
        }
    }
}
