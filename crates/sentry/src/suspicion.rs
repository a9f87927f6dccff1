//! One record that shows something, before it is gathered with others into an incident.

use std::collections::HashMap;

use mailkeep_model::Function;

use crate::{Evidence, Incident, IncidentKind, MOST_EVIDENCE};

#[derive(Clone, Debug)]
pub(crate) struct Suspicion {
    pub(crate) kind: IncidentKind,
    pub(crate) client_id: Option<String>,
    pub(crate) function: Option<Function>,
    pub(crate) subject: String,
    pub(crate) evidence: Evidence,
}

impl Suspicion {
    fn empty_incident(&self) -> Incident {
        Incident {
            kind: self.kind,
            severity: self.kind.severity(),
            client_id: self.client_id.clone(),
            function: self.function,
            subject: self.subject.clone(),
            evidence: Vec::new(),
            records: 0,
            newest: None,
        }
    }

    pub(crate) fn incident_key(&self) -> String {
        self.empty_incident().key()
    }
}

/// Gathers what belongs together; the incident whose first record is oldest comes first.
pub(crate) fn gather(mut suspicions: Vec<Suspicion>) -> Vec<Incident> {
    suspicions.sort_by(|a, b| {
        (a.evidence.at, &a.evidence.record).cmp(&(b.evidence.at, &b.evidence.record))
    });
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut incidents: Vec<Incident> = Vec::new();
    for suspicion in suspicions {
        let place = *places.entry(suspicion.incident_key()).or_insert_with(|| {
            incidents.push(suspicion.empty_incident());
            incidents.len() - 1
        });
        let incident = &mut incidents[place];
        incident.records += 1;
        incident.newest = incident.newest.max(Some(suspicion.evidence.at));
        if incident.evidence.len() < MOST_EVIDENCE {
            incident.evidence.push(suspicion.evidence);
        }
    }
    incidents
}
