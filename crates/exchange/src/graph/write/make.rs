//! The making of one item: the request that begins it, those that complete it, and what to do when
//! an answer is lost.

use std::time::Instant;

use mailkeep_model::ItemId;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    MADE, ORIGIN, Place, Plan, REPLACES, SNAPSHOT, UNFINISHED, add_property, contact,
    existing::{Carrying, Marked, marked},
    remove, remove_marked, serialized, series, uploads,
};
use crate::{
    Created, ExchangeError, Looked, NewItem,
    graph::{
        client::{GraphProvider, MAX_FAULTS, Patience},
        send::Posted,
    },
};

/// How often an item is made anew that broke off half-made.
const MAX_ATTEMPTS: u32 = 3;

/// The making of one item.
pub(super) struct Make<'a> {
    pub(super) graph: &'a GraphProvider,
    pub(super) place: &'a Place<'a>,
    pub(super) new: &'a NewItem<'a>,
}

/// What the first request has made, as it answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    id: String,
    created_date_time: Option<String>,
}

/// What the first request has made.
struct Begun {
    id: String,
    /// By the provider's clock, and when that was here.
    created: Option<(OffsetDateTime, Instant)>,
    /// Whether an earlier request without an answer may make it once more.
    doubtful: bool,
}

impl Make<'_> {
    pub(super) async fn whole(&self, mut plan: Plan<'_>) -> Result<Created, ExchangeError> {
        let several = !plan.files.is_empty() || plan.photo.is_some() || plan.series.is_some();
        let mark = self.new.origin.mark.text();
        let first = if several { format!("{UNFINISHED}{mark}") } else { mark.clone() };
        add_property(&mut plan.fields, ORIGIN, &first);
        add_property(&mut plan.fields, SNAPSHOT, &self.new.origin.snapshot);
        if !self.new.replaces.is_empty() {
            let ids: Vec<&str> = self.new.replaces.iter().map(|id| id.0.as_str()).collect();
            add_property(&mut plan.fields, REPLACES, &ids.join(" "));
        }
        if self.new.looked == Looked::NotYet
            && let Some(found) = self.find(Carrying::Exactly(&mark)).await?.pop()
        {
            return Ok(Created { id: ItemId(found.id), lost: plan.lost, doubtful: false });
        }
        let mut attempt = 1;
        let mut doubtful = false;
        let id = loop {
            if several {
                self.clear_away().await?;
            }
            let begun = self.begin(&mut plan.fields, &first).await?;
            doubtful |= begun.doubtful;
            if !several {
                break begun.id;
            }
            match self.finish(&begun, &plan).await {
                Ok(lost) => {
                    plan.lost.extend(lost);
                    break begun.id;
                }
                Err(error) if error.is_transient() && attempt < MAX_ATTEMPTS => {
                    tracing::debug!(attempt, %error, "a restored item broke off half-made");
                    attempt += 1;
                }
                Err(error) => {
                    // What stays behind when this fails is found by the next restore.
                    let _ = remove(self.graph, self.place, &begun.id).await;
                    return Err(error);
                }
            }
        };
        let created = Created { id: ItemId(id), lost: plan.lost, doubtful };
        if doubtful {
            self.keep_only(&created.id).await;
        }
        Ok(created)
    }

    /// Deletes what was left of this item half-made, in whatever state.
    async fn clear_away(&self) -> Result<(), ExchangeError> {
        let half_made = format!("{UNFINISHED}{}.", self.new.origin.mark.item);
        for found in self.find(Carrying::AtTheFront(&half_made)).await? {
            remove(self.graph, self.place, &found.id).await?;
        }
        Ok(())
    }

    /// Whoever asked looks once more later: that this fails costs nothing.
    async fn keep_only(&self, id: &ItemId) {
        let keep: Vec<ItemId> = self.new.replaces.iter().chain([id]).cloned().collect();
        let (kind, mark) = (self.new.item.kind, &self.new.origin.mark);
        let done = remove_marked(self.graph, self.place, kind, mark, &keep).await;
        if let Err(error) = done {
            tracing::debug!(%error, "looking for a second one failed");
        }
    }

    /// The first request, until it is sure what it made.
    async fn begin(
        &self,
        fields: &mut Map<String, Value>,
        mark: &str,
    ) -> Result<Begun, ExchangeError> {
        if self.place.items == "events" {
            // Within this attempt the server recognises a repetition by it, too. Not the bare mark:
            // a deleted event's identifier is not free again.
            let transaction = format!("{}-{}", self.new.origin.mark.item, uuid::Uuid::new_v4());
            fields.insert("transactionId".into(), Value::String(transaction));
        }
        let ask = self.place.ask(self.graph, "restoring an item", &self.place.collection(), &[]);
        let body = serialized(fields);
        let mut patience = Patience::default();
        let mut doubtful = false;
        loop {
            let sent = Instant::now();
            let error = match self.graph.post(&ask, body.clone()).await? {
                Posted::Done(answer) => match serde_json::from_slice::<Made>(&answer) {
                    Ok(made) => {
                        let created = instant(made.created_date_time.as_deref());
                        let created = created.map(|created| (created, sent));
                        return Ok(Begun { id: made.id, created, doubtful });
                    }
                    Err(error) => ExchangeError::protocol(
                        &ask.action,
                        format!("the answer is not understood: {error}"),
                    ),
                },
                Posted::Unknown(error) => error,
            };
            let Some(wait) = patience.fault(MAX_FAULTS) else { return Err(error) };
            self.graph.counters().add_retried();
            tokio::time::sleep(wait).await;
            if let Some(found) = self.find(Carrying::Exactly(mark)).await?.pop() {
                let created = instant(found.created_date_time.as_deref());
                let created = created.map(|created| (created, sent));
                return Ok(Begun { id: found.id, created, doubtful });
            }
            doubtful = true;
        }
    }

    /// The other requests, and with the last of them the item is whole.
    async fn finish(&self, begun: &Begun, plan: &Plan<'_>) -> Result<Vec<String>, ExchangeError> {
        let id = begun.id.as_str();
        let mut lost = Vec::new();
        for file in &plan.files {
            uploads::add(self.graph, self.place, id, file).await?;
        }
        if let Some(photo) = plan.photo {
            lost.extend(contact::set_photo(self.graph, self.place, id, photo).await?);
        }
        if let Some((event, clock)) = &plan.series {
            lost.extend(series::write(self.graph, self.place, id, event, clock).await?);
        }
        let mut fields = Map::new();
        add_property(&mut fields, ORIGIN, &self.new.origin.mark.text());
        add_property(&mut fields, SNAPSHOT, &self.new.origin.snapshot);
        let now = begun.created.map(|(created, here)| created + here.elapsed());
        if let Some(now) = now.and_then(|now| now.format(&Rfc3339).ok()) {
            add_property(&mut fields, MADE, &now);
        }
        let ask = self.place.ask(self.graph, "restoring an item", &self.place.item(id), &[]);
        self.graph.change(&ask, Method::PATCH, Some(serialized(&fields))).await?;
        Ok(lost)
    }

    /// What in this folder carries a mark and is not to be replaced.
    async fn find(&self, carrying: Carrying<'_>) -> Result<Vec<Marked>, ExchangeError> {
        let mut found = marked(self.graph, self.place, carrying).await?;
        found.retain(|one| !self.new.replaces.iter().any(|old| old.0 == one.id));
        Ok(found)
    }
}

/// `None` for a time that cannot be read.
pub(super) fn instant(text: Option<&str>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text?, &Rfc3339).ok()
}
