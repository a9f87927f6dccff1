//! Changes of Exchange's configuration: where mail goes, who reads it, what is logged of that.

use std::collections::BTreeMap;

use mailkeep_model::{ExchangeChange, ExchangePart};

use crate::{Evidence, Incident, IncidentKind, Source};

/// Who the provider is when it changes something itself.
const PROVIDER: &str = "NT AUTHORITY\\";
/// Parameters that are told of a change.
const TOLD: usize = 12;

/// The incidents that changes come to, with before and after and who: one for each object. Those that did not
/// succeed, and those of the provider's own, are none.
pub fn exchange_incidents(changes: &[ExchangeChange]) -> Vec<Incident> {
    let mut changes: Vec<&ExchangeChange> = changes.iter().collect();
    // Times are whole seconds, and what is made in one is set after that.
    let order = |one: &ExchangeChange| (one.at, !is_new(one));
    changes.sort_by(|a, b| (order(a), &a.id).cmp(&(order(b), &b.id)));
    let mut before: BTreeMap<(String, &str), &ExchangeChange> = BTreeMap::new();
    let mut incidents: Vec<Incident> = Vec::new();
    for change in changes.into_iter().filter(|one| one.succeeded) {
        let Some(part) = change.part() else { continue };
        // Not by the part: an inbound connector may bear the name of an outbound one.
        let earlier = before.insert((change.noun(), change.subject()), change);
        if change.user.starts_with(PROVIDER) {
            continue;
        }
        let incident = incident(part, change, earlier);
        match incidents.iter_mut().find(|known| known.key() == incident.key()) {
            Some(known) => incident.evidence.into_iter().for_each(|one| known.add(one)),
            None => incidents.push(incident),
        }
    }
    incidents
}

fn incident(
    part: ExchangePart,
    change: &ExchangeChange,
    earlier: Option<&ExchangeChange>,
) -> Incident {
    let from = change.address.map(|address| format!(", from {address}")).unwrap_or_default();
    let evidence = Evidence {
        at: change.at,
        source: Source::ExchangeChanges,
        record: change.id.clone(),
        text: format!(
            "{} by {}{from}: {}; before: {}",
            change.command,
            change.user,
            after(change),
            was(change, earlier)
        ),
        address: change.address,
        uti: None,
    };
    let subject = format!("{} {}", part.as_str(), change.subject());
    Incident::of(kind(part), None, None, &subject, evidence)
}

/// What makes us, or the tenant, blind is worse than a way that mail may take.
pub(crate) fn kind(part: ExchangePart) -> IncidentKind {
    match part {
        ExchangePart::AuditBypass | ExchangePart::Audit => IncidentKind::ProtectionOff,
        _ => IncidentKind::ExchangeChanged,
    }
}

fn is_new(change: &ExchangeChange) -> bool {
    change.command.to_ascii_lowercase().starts_with("new-")
}

fn after(change: &ExchangeChange) -> String {
    let told: Vec<String> = if change.parameters.is_empty() {
        let modified = change.modified.iter();
        modified.map(|one| pair(&one.name, one.after.as_deref())).collect()
    } else {
        change.parameters.iter().map(|(name, value)| pair(name, Some(value))).collect()
    };
    list(&told)
}

/// What was there before: as the record tells it, or as the last command set it.
fn was(change: &ExchangeChange, earlier: Option<&ExchangeChange>) -> String {
    let told: Vec<String> = change
        .modified
        .iter()
        .filter(|one| one.before.is_some())
        .map(|one| pair(&one.name, one.before.as_deref()))
        .collect();
    if !told.is_empty() {
        return list(&told);
    }
    if is_new(change) {
        return "nothing of that name".to_owned();
    }
    match earlier {
        Some(earlier) => format!("{} by {}: {}", earlier.command, earlier.user, after(earlier)),
        None => "not told by the log".to_owned(),
    }
}

fn pair(name: &str, value: Option<&str>) -> String {
    match value.filter(|value| !value.is_empty()) {
        Some(value) => format!("{name}={value}"),
        None => format!("{name}="),
    }
}

fn list(told: &[String]) -> String {
    if told.is_empty() {
        return "without parameters".to_owned();
    }
    let more = told.len().saturating_sub(TOLD);
    let mut text = told[..told.len() - more].join(" ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use mailkeep_model::ModifiedProperty;
    use time::{Duration, OffsetDateTime};

    use super::*;

    fn change(number: i64, command: &str, parameters: &[(&str, &str)]) -> ExchangeChange {
        ExchangeChange {
            id: format!("r{number}"),
            at: OffsetDateTime::UNIX_EPOCH + Duration::minutes(number),
            command: command.into(),
            object: None,
            user: "admin@x.example".into(),
            address: "203.0.113.5".parse().ok(),
            parameters: parameters.iter().map(|&(a, b)| (a.into(), b.into())).collect(),
            modified: Vec::new(),
            succeeded: true,
        }
    }

    #[test]
    fn a_rule_that_comes_and_goes_is_one_incident_that_says_who_and_what_was_before() {
        let found = exchange_incidents(&[
            change(2, "Remove-TransportRule", &[("Identity", "Copy")]),
            change(1, "New-TransportRule", &[("Name", "Copy"), ("BlindCopyTo", "eve@y.example")]),
        ]);
        let [incident] = &found[..] else { panic!("{found:?}") };
        assert_eq!(incident.kind, IncidentKind::ExchangeChanged);
        assert_eq!((incident.subject.as_str(), incident.records), ("transport_rule Copy", 2));
        assert_eq!(
            incident.evidence[0].text,
            "New-TransportRule by admin@x.example, from 203.0.113.5: Name=Copy \
             BlindCopyTo=eve@y.example; before: nothing of that name"
        );
        assert!(incident.evidence[1].text.ends_with(
            "before: New-TransportRule by admin@x.example: Name=Copy BlindCopyTo=eve@y.example"
        ));
    }

    #[test]
    fn what_was_before_is_not_told_of_an_object_of_another_kind() {
        let found = exchange_incidents(&[
            change(1, "New-InboundConnector", &[("Name", "Partner"), ("SenderDomains", "*")]),
            change(2, "Set-OutboundConnector", &[("Identity", "Partner"), ("Enabled", "True")]),
        ]);
        let [incident] = &found[..] else { panic!("{found:?}") };
        let text = &incident.evidence[1].text;
        assert!(text.ends_with("before: not told by the log"), "{text}");
    }

    #[test]
    fn the_organisation_s_other_settings_switch_no_protection_off() {
        let tips = change(1, "Set-OrganizationConfig", &[("MailTipsAllTipsEnabled", "False")]);
        let mut off = change(2, "Set-OrganizationConfig", &[("AuditDisabled", "True")]);
        off.object = Some("x.example".into());
        let found = exchange_incidents(&[tips, off]);
        let [incident] = &found[..] else { panic!("{found:?}") };
        assert_eq!(incident.kind, IncidentKind::ProtectionOff);
        assert_eq!((incident.subject.as_str(), incident.records), ("audit organization", 1));
    }

    #[test]
    fn what_makes_blind_is_a_protection_that_is_off_and_failures_and_the_provider_s_own_are_none() {
        let bypass = [("Identity", "eve@x.example"), ("AuditBypassEnabled", "True")];
        let mut bypassed = change(1, "Set-MailboxAuditBypassAssociation", &bypass);
        bypassed.modified = vec![ModifiedProperty {
            name: "AuditBypassEnabled".into(),
            before: Some("False".into()),
            after: Some("True".into()),
        }];
        let failed = ExchangeChange { succeeded: false, ..change(2, "New-JournalRule", &[]) };
        let own = ExchangeChange {
            user: "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.Servicehost)".into(),
            ..change(3, "Set-OrganizationConfig", &[])
        };
        let other = change(4, "Get-Mailbox", &[]);
        let found = exchange_incidents(&[bypassed, failed, own, other]);
        let [incident] = &found[..] else { panic!("{found:?}") };
        assert_eq!(incident.kind, IncidentKind::ProtectionOff);
        assert!(incident.evidence[0].text.ends_with("before: AuditBypassEnabled=False"));
    }
}
