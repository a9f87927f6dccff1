//! Whose a token is: every sign-in of our applications is joined to a use of ours, or is somebody
//! else's.
//!
//! In this order: the token's identifier; the provider's id of the request, of which the identifier
//! is another form; the name that we gave the request; and only for a record that has none of these,
//! application, key, address and time, one record a use. What joins is then held against what we
//! know of that use, because whoever reads our requests knows their names, too.

use std::collections::{HashMap, HashSet};

use mailkeep_identity::uti;
use mailkeep_model::{CredentialKind, SignIn};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    Settings,
    incident::{Evidence, Source},
    kind::IncidentKind,
    ours::Ours,
    suspicion::Suspicion,
    uses::{Outcome, Use},
};

/// How a sign-in was joined to a use of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// By the token's identifier, or the provider's id of the request.
    Token,
    /// By the name that we gave the request.
    Request,
    /// By application, key, address and time alone: no proof.
    Circumstances,
}

/// Whose a sign-in is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Ours: the use with this number in [`Ours::uses`].
    Ours {
        /// The use.
        used: usize,
        /// How that is known.
        by: Join,
    },
    /// Somebody else's, and what that shows.
    Foreign(IncidentKind),
    /// That of an application that is none of ours.
    NotOurApplication,
    /// Nobody can tell: what we knew of ourselves of that time is damaged or lost.
    Undecided,
}

/// A token that somebody else got as one of our applications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RogueToken {
    /// Its identifier, where it is told.
    pub uti: Option<String>,
    /// The application, lower case.
    pub client_id: String,
    /// When it was got.
    pub at: OffsetDateTime,
    /// From where.
    pub address: Option<std::net::IpAddr>,
    /// What with, for people.
    pub with: String,
    /// What its incident is called ([`Incident::key`](crate::Incident::key)).
    pub incident: String,
    /// When it has ended at the latest. The log does not tell its lifetime.
    pub ends: OffsetDateTime,
}

/// All sign-ins, judged.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// One for each record, in their order.
    pub(crate) whose: Vec<Whose>,
    pub(crate) rogue: Vec<RogueToken>,
    pub(crate) suspicions: Vec<Suspicion>,
    /// When the provider says that a use of ours was, for each use that its log has.
    pub(crate) arrived: HashMap<usize, OffsetDateTime>,
    /// Identifiers of our own tokens: what we read, what follows from it, and what the log tells of
    /// those that were lost.
    pub(crate) own_tokens: HashMap<String, usize>,
    /// Uses whose token the log has named.
    pub(crate) named: HashSet<usize>,
}

/// Judges all sign-ins of a tenant.
pub(crate) fn judge(ours: &Ours, sign_ins: &[SignIn], settings: &Settings) -> Judged {
    let index = Index::new(ours);
    let mut whose: Vec<Option<Whose>> = sign_ins
        .iter()
        .map(|one| ours.application(&one.client_id).is_none().then_some(Whose::NotOurApplication))
        .collect();
    let mut claimed = Claimed::default();
    by_token(&index, ours, sign_ins, &mut whose, &mut claimed);
    by_request(&index, ours, sign_ins, settings, &mut whose, &mut claimed);
    by_circumstances(ours, sign_ins, &mut whose, &claimed, settings.skew);
    let mut judged = Judged { own_tokens: index.by_uti, ..Judged::default() };
    for (sign_in, found) in sign_ins.iter().zip(whose) {
        let joined = found.unwrap_or_else(|| unjoined(ours, sign_in, settings));
        let (whose, why) = match joined {
            Whose::Ours { used, by } => {
                match mismatch(ours, sign_in, &ours.uses[used], by, settings) {
                    None => (joined, None),
                    Some(why) => (Whose::Foreign(IncidentKind::Impersonated), Some(why)),
                }
            }
            other => (other, None),
        };
        match whose {
            Whose::Ours { used, by } if sign_in.error == 0 => {
                if by != Join::Circumstances {
                    judged.arrived.insert(used, sign_in.at);
                }
                if let Some(uti) = &sign_in.uti {
                    judged.own_tokens.entry(uti.clone()).or_insert(used);
                    judged.named.insert(used);
                }
            }
            Whose::Foreign(kind) => judged.accuse(ours, sign_in, kind, why.as_deref(), settings),
            _ => {}
        }
        judged.whose.push(whose);
    }
    judged
}

impl Judged {
    fn accuse(
        &mut self,
        ours: &Ours,
        sign_in: &SignIn,
        kind: IncidentKind,
        why: Option<&str>,
        settings: &Settings,
    ) {
        let with = used_credential(ours, sign_in);
        let outcome = match sign_in.error {
            0 => "got a token".to_owned(),
            error => format!("was refused (AADSTS{error})"),
        };
        let from = sign_in.address.map_or_else(|| "somewhere".to_owned(), |at| at.to_string());
        let mut text = format!("{from} {outcome} with {with}");
        if let Some(why) = why {
            text = format!("{text}: {why}");
        }
        let suspicion = Suspicion {
            kind,
            client_id: Some(sign_in.client_id.to_ascii_lowercase()),
            function: ours.application(&sign_in.client_id).map(|one| one.function),
            subject: subject(sign_in),
            evidence: Evidence {
                at: sign_in.at,
                source: Source::SignIns,
                record: sign_in.id.clone(),
                text,
                address: sign_in.address,
                uti: sign_in.uti.clone(),
            },
        };
        if sign_in.error == 0 {
            self.rogue.push(RogueToken {
                uti: sign_in.uti.clone(),
                client_id: sign_in.client_id.to_ascii_lowercase(),
                at: sign_in.at,
                address: sign_in.address,
                with,
                incident: suspicion.incident_key(),
                ends: sign_in.at + settings.longest_token,
            });
        }
        self.suspicions.push(suspicion);
    }
}

/// Uses by what a record may name them by.
struct Index {
    by_uti: HashMap<String, usize>,
    by_request: HashMap<Uuid, usize>,
    by_name: HashMap<Uuid, usize>,
}

impl Index {
    fn new(ours: &Ours) -> Self {
        let mut index =
            Self { by_uti: HashMap::new(), by_request: HashMap::new(), by_name: HashMap::new() };
        for (number, one) in ours.uses.iter().enumerate() {
            let Some(request) = &one.request else { continue };
            index.by_name.insert(request.client_request_id, number);
            index.by_uti.extend(one.uti().map(|uti| (uti, number)));
            if let Outcome::Received { request_id: Some(id), .. } = &request.outcome {
                index.by_request.insert(*id, number);
            }
        }
        index
    }

    /// The use whose token this is. A request that was refused has an id, too, but no token.
    fn of_token(&self, sign_in: &SignIn) -> Option<usize> {
        let told = sign_in.uti.as_ref();
        if let Some(number) = told.and_then(|uti| self.by_uti.get(uti)) {
            return Some(*number);
        }
        let request = told.and_then(|uti| uti::to_request_id(uti));
        let request = request.or_else(|| Uuid::try_parse(&sign_in.id).ok());
        request.and_then(|id| self.by_request.get(&id)).copied()
    }
}

/// Uses that have been joined already.
#[derive(Default)]
struct Claimed {
    by_token: HashSet<usize>,
    by_request: HashSet<usize>,
}

fn by_token(
    index: &Index,
    ours: &Ours,
    sign_ins: &[SignIn],
    whose: &mut [Option<Whose>],
    claimed: &mut Claimed,
) {
    for (sign_in, whose) in sign_ins.iter().zip(whose).filter(|(_, whose)| whose.is_none()) {
        let found = index.of_token(sign_in).filter(|_| sign_in.error == 0);
        if let Some(used) = found
            && same_application(sign_in, &ours.uses[used])
        {
            claimed.by_token.insert(used);
            *whose = Some(Whose::Ours { used, by: Join::Token });
        }
    }
}

/// One assertion makes one token: of several records that name one request, one is ours at most. It
/// is the oldest, because nobody can use an assertion again before we have used it.
fn by_request(
    index: &Index,
    ours: &Ours,
    sign_ins: &[SignIn],
    settings: &Settings,
    whose: &mut [Option<Whose>],
    claimed: &mut Claimed,
) {
    let ids_agree = ids_agree(ours, claimed);
    let mut named: Vec<(usize, usize)> = Vec::new();
    for (number, sign_in) in sign_ins.iter().enumerate() {
        let used = sign_in.correlation_id.and_then(|id| index.by_name.get(&id));
        if let Some(used) = used
            && whose[number].is_none()
        {
            named.push((number, *used));
        }
    }
    named.sort_by_key(|(number, _)| sign_ins[*number].at);
    for (number, used) in named {
        let sign_in = &sign_ins[number];
        let one = &ours.uses[used];
        let fits = mismatch(ours, sign_in, one, Join::Request, settings).is_none();
        whose[number] = Some(match may_be_the_answer(sign_in, one, ids_agree) {
            true if !fits => Whose::Ours { used, by: Join::Request },
            true if claimed.is_free(used) => {
                claimed.by_request.insert(used);
                Whose::Ours { used, by: Join::Request }
            }
            _ if sign_in.error == 0 => Whose::Foreign(IncidentKind::ReplayedAssertion),
            _ => Whose::Foreign(IncidentKind::FailedAttempt),
        });
    }
}

/// Whether a token's identifier follows from the request's id in this tenant: known as soon as one
/// that we have read does, or one that the log tells.
fn ids_agree(ours: &Ours, claimed: &Claimed) -> bool {
    ours.uses.iter().enumerate().any(|(number, one)| {
        let outcome = one.request.as_ref().map(|request| &request.outcome);
        match outcome {
            Some(Outcome::Received { request_id: Some(id), uti: Some(uti), .. }) => {
                uti::from_request_id(*id) == *uti
            }
            Some(Outcome::Received { uti: None, .. }) => claimed.by_token.contains(&number),
            _ => false,
        }
    })
}

impl Claimed {
    fn is_free(&self, used: usize) -> bool {
        !self.by_token.contains(&used) && !self.by_request.contains(&used)
    }
}

/// Whether a record that names our request can be that of its answer.
fn may_be_the_answer(sign_in: &SignIn, used: &Use, ids_agree: bool) -> bool {
    let Some(request) = &used.request else { return false };
    if !same_application(sign_in, used) {
        return false;
    }
    match &request.outcome {
        Outcome::Lost => true,
        Outcome::Refused { .. } => sign_in.error != 0,
        Outcome::Received { uti, .. } => {
            let own = if ids_agree { used.uti() } else { uti.clone() };
            let other =
                own.as_ref().zip(sign_in.uti.as_ref()).is_some_and(|(own, told)| own != told);
            sign_in.error == 0 && !other
        }
    }
}

/// A record without any identifier may be one of ours that no other record was joined to.
fn by_circumstances(
    ours: &Ours,
    sign_ins: &[SignIn],
    whose: &mut [Option<Whose>],
    claimed: &Claimed,
    skew: Duration,
) {
    let mut free: Vec<usize> = (0..ours.uses.len())
        .filter(|used| claimed.is_free(*used) && ours.uses[*used].request.is_some())
        .collect();
    for (sign_in, whose) in sign_ins.iter().zip(whose) {
        if whose.is_some() || sign_in.uti.is_some() || sign_in.correlation_id.is_some() {
            continue;
        }
        let fits = |used: &usize| {
            let one = &ours.uses[*used];
            let near = one.request.as_ref().is_some_and(|request| {
                (sign_in.at - request.intended).abs() <= skew
                    && matches!(request.outcome, Outcome::Refused { .. }) == (sign_in.error != 0)
            });
            near && same_application(sign_in, one)
                && ours.may_come_from(sign_in.address)
                && may_be_key(ours, sign_in, one)
        };
        if let Some(at) = free.iter().position(fits) {
            let used = free.swap_remove(at);
            *whose = Some(Whose::Ours { used, by: Join::Circumstances });
        }
    }
}

/// What of a record does not fit the use that it was joined to.
fn mismatch(
    ours: &Ours,
    sign_in: &SignIn,
    used: &Use,
    by: Join,
    settings: &Settings,
) -> Option<String> {
    if !may_be_key(ours, sign_in, used) {
        return Some(format!("our request {} was made with key {}", used.jti, used.key_id));
    }
    if !ours.may_come_from(sign_in.address) {
        return Some(
            "it bears the marks of a request of ours, which come from elsewhere".to_owned(),
        );
    }
    let begins = used.signed - settings.skew;
    let in_time = begins <= sign_in.at && sign_in.at <= used.expires + settings.skew;
    if by == Join::Request && !in_time {
        return Some("our request of that name was made at another time".to_owned());
    }
    None
}

fn same_application(sign_in: &SignIn, used: &Use) -> bool {
    sign_in.client_id.eq_ignore_ascii_case(&used.client_id)
}

/// Whether the credential that the log names can be the key of a use. A log that names none (v1.0)
/// does not contradict it.
fn may_be_key(ours: &Ours, sign_in: &SignIn, used: &Use) -> bool {
    if matches!(sign_in.credential, CredentialKind::Secret | CredentialKind::Federated) {
        return false;
    }
    let names = [&sign_in.key_id, &sign_in.thumbprint];
    let mut named = names.into_iter().flatten().peekable();
    named.peek().is_none()
        || named.any(|name| ours.key_known_as(name).is_some_and(|key| key.key_id == used.key_id))
}

fn our_key<'a>(ours: &'a Ours, sign_in: &SignIn) -> Option<&'a crate::OurKey> {
    let names = [&sign_in.key_id, &sign_in.thumbprint];
    names.into_iter().flatten().find_map(|name| ours.key_known_as(name))
}

/// Whose a sign-in is that joins to nothing. Where our own records lack something it may be ours, unless
/// its credential or its address says otherwise.
fn unjoined(ours: &Ours, sign_in: &SignIn, settings: &Settings) -> Whose {
    let kind = foreign_kind(ours, sign_in);
    let (from, to) = (sign_in.at - settings.skew, sign_in.at + settings.skew);
    let may_be_ours =
        kind != IncidentKind::ForeignCredential && ours.may_come_from(sign_in.address);
    if may_be_ours && ours.may_lack(from, to) { Whose::Undecided } else { Whose::Foreign(kind) }
}

/// What a sign-in shows that joins to nothing.
fn foreign_kind(ours: &Ours, sign_in: &SignIn) -> IncidentKind {
    let ours_by_name = our_key(ours, sign_in).is_some();
    match sign_in.error {
        // Nobody gets as far as a location policy's refusal without the key.
        0 | BLOCKED if ours_by_name => IncidentKind::StolenKey,
        0 if tells_no_credential(sign_in) => IncidentKind::StolenKey,
        0 => IncidentKind::ForeignCredential,
        _ => IncidentKind::FailedAttempt,
    }
}

/// Refused by Conditional Access, which is asked after the credential was found to be good.
const BLOCKED: u32 = 53_003;

/// With a log that does not tell credentials apart, ours is the one that has to be assumed.
fn tells_no_credential(sign_in: &SignIn) -> bool {
    let kind = matches!(sign_in.credential, CredentialKind::Certificate | CredentialKind::Unknown);
    kind && sign_in.key_id.is_none() && sign_in.thumbprint.is_none()
}

/// What was signed in with, for people.
fn used_credential(ours: &Ours, sign_in: &SignIn) -> String {
    if let Some(key) = our_key(ours, sign_in) {
        return format!("our key {} ({})", key.key_id, key.function);
    }
    let kind = credential_name(sign_in.credential);
    match (&sign_in.key_id, &sign_in.thumbprint) {
        (Some(id), _) => format!("{kind} that is not ours ({id})"),
        (None, Some(thumbprint)) => format!("{kind} that is not ours ({thumbprint})"),
        (None, None) => format!("{kind} that the log does not name"),
    }
}

/// What a credential that is not ours is called.
fn credential_name(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Certificate => "a certificate",
        CredentialKind::Secret => "a password",
        CredentialKind::Federated => "another issuer's assertion",
        _ => "an unknown credential",
    }
}

/// Sign-ins with one credential are one incident, however many they are.
fn subject(sign_in: &SignIn) -> String {
    let named = sign_in.key_id.as_deref().or(sign_in.thumbprint.as_deref());
    named.unwrap_or(credential_name(sign_in.credential)).to_ascii_lowercase()
}
