//! Exchange's configuration as it stands, against what was accepted of it.

use std::collections::BTreeMap;

use mailkeep_model::{ExchangeObject, ExchangePart};
use time::OffsetDateTime;

use crate::{Evidence, Incident, exchange_changes::kind};

/// Properties of an object that are told.
const TOLD: usize = 12;

type Properties = BTreeMap<String, String>;

/// Whether everything of it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// What is not there, is not there.
    Whole,
    /// Some of it could not be taken: what is missing may be there.
    Part,
}

/// Where Exchange's configuration is not as it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeDifference {
    /// The part of the configuration.
    pub part: ExchangePart,
    /// Of what kind the object is.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// What was accepted; `None`: it was not there.
    pub before: Option<String>,
    /// What is there; `None`: it is gone.
    pub after: Option<String>,
}

/// Holds what there is against what was accepted.
pub fn exchange_differences(
    accepted: &[ExchangeObject],
    found: &[ExchangeObject],
    sight: Sight,
) -> Vec<ExchangeDifference> {
    // Two kinds of one part have an object of the same name in most tenants: "Default".
    type Place<'a> = (ExchangePart, &'a str, &'a str);
    fn by_place(all: &[ExchangeObject]) -> BTreeMap<Place<'_>, &Properties> {
        all.iter().map(|one| ((one.part, &*one.kind, &*one.name), &one.properties)).collect()
    }
    let (before, now) = (by_place(accepted), by_place(found));
    let mut differences = Vec::new();
    for (&(part, kind, name), &properties) in &now {
        let known = before.get(&(part, kind, name)).copied();
        if known == Some(properties) {
            continue;
        }
        // Of one that was there, only what differs.
        let told = |from: &Properties, other: &Properties| {
            let differing = from.iter().filter(|(name, value)| other.get(*name) != Some(*value));
            list(&differing.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
        };
        differences.push(ExchangeDifference {
            part,
            kind: kind.to_owned(),
            name: name.to_owned(),
            before: known.map(|known| told(known, properties)),
            after: Some(told(properties, known.unwrap_or(&Properties::new()))),
        });
    }
    if sight == Sight::Whole {
        for (&(part, kind, name), properties) in &before {
            if !now.contains_key(&(part, kind, name)) {
                let pairs: Vec<String> =
                    properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let (before, after) = (Some(list(&pairs)), None);
                differences.push(ExchangeDifference {
                    part,
                    kind: kind.to_owned(),
                    name: name.to_owned(),
                    before,
                    after,
                });
            }
        }
    }
    differences
}

impl ExchangeDifference {
    /// What tells it from others, and from itself when it looks different.
    pub fn key(&self) -> String {
        let after = self.after.as_deref().unwrap_or("gone");
        format!("{} {} {} {after}", self.part.as_str(), self.kind, self.name)
    }

    /// What happened, for people.
    pub fn text(&self) -> String {
        let what = match (&self.before, &self.after) {
            (None, Some(after)) => format!("was added: {after}; before: nothing of that name"),
            (Some(before), Some(after)) => format!("was changed: {after}; before: {before}"),
            (before, None) => {
                format!("is gone; before: {}", before.as_deref().unwrap_or("nothing"))
            }
        };
        let (part, name) = (self.part.as_str(), &self.name);
        // Most parts are of one kind, and called as it is.
        let is_told = part.replace('_', "") != self.kind;
        let kind = if is_told { format!(" ({})", self.kind) } else { String::new() };
        format!("{} '{name}'{kind} {what}", part.replace('_', " "))
    }

    /// The incident that it is, or that it adds to: the same as that of the command which did it. `since`
    /// is when it was first found.
    pub fn incident(&self, since: OffsetDateTime) -> Incident {
        let evidence = Evidence::of_posture(&self.key(), since, self.text());
        let subject = format!("{} {}", self.part.as_str(), self.name);
        Incident::of(kind(self.part), None, None, &subject, evidence)
    }
}

fn list(told: &[String]) -> String {
    if told.is_empty() {
        return "nothing".to_owned();
    }
    let more = told.len().saturating_sub(TOLD);
    let text = told[..told.len() - more].join(" ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IncidentKind;

    fn object(name: &str, properties: &[(&str, &str)]) -> ExchangeObject {
        ExchangeObject {
            part: ExchangePart::TransportRule,
            kind: "transportrule".into(),
            name: name.into(),
            properties: properties.iter().map(|&(a, b)| (a.into(), b.into())).collect(),
        }
    }

    #[test]
    fn what_came_went_or_changed_is_told_with_before_and_after() {
        let accepted = [
            object("Old", &[("From", "a")]),
            object("Copy", &[("From", "a"), ("Enabled", "true")]),
            object("Same", &[("From", "a")]),
        ];
        let found = [
            object("Copy", &[("From", "a"), ("Enabled", "false")]),
            object("New", &[("BlindCopyTo", "eve@y.example")]),
            object("Same", &[("From", "a")]),
        ];
        let texts: Vec<String> = exchange_differences(&accepted, &found, Sight::Whole)
            .iter()
            .map(ExchangeDifference::text)
            .collect();
        assert_eq!(
            texts,
            [
                "transport rule 'Copy' was changed: Enabled=false; before: Enabled=true",
                "transport rule 'New' was added: BlindCopyTo=eve@y.example; before: nothing of that name",
                "transport rule 'Old' is gone; before: From=a",
            ]
        );
        let part = exchange_differences(&accepted, &found, Sight::Part);
        assert_eq!(part.len(), 2, "what was not seen is not gone");
    }

    #[test]
    fn what_bears_the_name_of_another_kind_does_not_hide_behind_it() {
        let of_kind = |kind: &str, value: &str| ExchangeObject {
            part: ExchangePart::Forwarding,
            kind: kind.into(),
            ..object("Default", &[("Forwarding", value)])
        };
        let (domain, policy) = ("remotedomain", "hostedoutboundspamfilterpolicy");
        let accepted = [of_kind(domain, "off"), of_kind(policy, "off")];
        for (found, text) in [
            (
                [of_kind(domain, "on"), of_kind(policy, "off")],
                "forwarding 'Default' (remotedomain) was changed: Forwarding=on; before: Forwarding=off",
            ),
            (
                [of_kind(domain, "off"), of_kind(policy, "on")],
                "forwarding 'Default' (hostedoutboundspamfilterpolicy) was changed: Forwarding=on; before: Forwarding=off",
            ),
        ] {
            let found = exchange_differences(&accepted, &found, Sight::Whole);
            let [one] = &found[..] else { panic!("{found:?}") };
            assert_eq!(one.text(), text);
            assert_eq!(one.incident(OffsetDateTime::UNIX_EPOCH).subject, "forwarding Default");
        }
        let both = [of_kind(domain, "on"), of_kind(policy, "on")];
        let [first, second] = &exchange_differences(&accepted, &both, Sight::Whole)[..] else {
            panic!()
        };
        assert_ne!(first.key(), second.key(), "each is evidence of its own");
        let gone = exchange_differences(&accepted, &accepted[..1], Sight::Whole);
        assert_eq!(gone.len(), 1);
    }

    #[test]
    fn a_snapshot_and_the_log_speak_of_the_same_incident() {
        let found = [object("Copy", &[("BlindCopyTo", "eve@y.example")])];
        let [one] = &exchange_differences(&[], &found, Sight::Whole)[..] else { panic!() };
        let incident = one.incident(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(incident.kind, IncidentKind::ExchangeChanged);
        assert_eq!(incident.subject, "transport_rule Copy");
    }
}
