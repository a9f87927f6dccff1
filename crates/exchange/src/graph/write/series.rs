//! Occurrences of a series that are not like the others: changed, or taken out.

use mailkeep_model::{Event, Exception, ZonedTime};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::{Duration, PrimitiveDateTime};

use super::{
    Place,
    event::{Clock, described, local_text, on_clock, zoned},
    remove, serialized,
};
use crate::{
    ExchangeError,
    graph::{
        client::{Ask, GraphProvider},
        wire_outlook::{DateTimeTimeZone, Listing},
        zones,
    },
};

/// An occurrence as `List instances` tells it.
#[derive(Deserialize)]
struct Occurrence {
    id: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    start: Option<DateTimeTimeZone>,
}

/// Changes and cancels occurrences of a series that was just made. What cannot be done is said;
/// it does not cost the series.
pub(super) async fn write(
    graph: &GraphProvider,
    place: &Place<'_>,
    id: &str,
    event: &Event,
    clock: &Clock,
) -> Result<Vec<String>, ExchangeError> {
    let series = Series { graph, place, id, event, clock: *clock };
    let mut lost = Vec::new();
    for exception in &event.exceptions {
        if let Err(reason) = refused(series.change(exception).await)? {
            let day = exception.original.local.date();
            lost.push(format!("what was changed in the occurrence of {day}: {reason}"));
        }
    }
    for day in &event.cancelled_occurrences {
        let at = on_clock(*day, event, series.clock);
        let found = refused(series.find(at).await)?;
        match found {
            Ok(Some(occurrence)) => remove(graph, place, &occurrence).await?,
            // Without it, it does not take place either.
            Ok(None) => {}
            Err(reason) => lost.push(format!("that the occurrence of {day} was deleted: {reason}")),
        }
    }
    Ok(lost)
}

/// Turns a refusal of this one occurrence into words; other failures end the attempt.
fn refused<T>(result: Result<T, ExchangeError>) -> Result<Result<T, String>, ExchangeError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(ExchangeError::Answer { status: 400..=499, message, .. }) => Ok(Err(message)),
        Err(ExchangeError::Unsupported { reason, .. }) => Ok(Err(reason)),
        Err(error) => Err(error),
    }
}

struct Series<'a> {
    graph: &'a GraphProvider,
    place: &'a Place<'a>,
    id: &'a str,
    event: &'a Event,
    clock: Clock,
}

impl Series<'_> {
    async fn change(&self, exception: &Exception) -> Result<(), ExchangeError> {
        let fields = self.differences(exception);
        if fields.is_empty() {
            return Ok(());
        }
        let at = self.clock.show(&exception.original).0;
        let Some(occurrence) = self.find(at).await? else {
            return Err(ExchangeError::unsupported(
                "changing an occurrence",
                "the series has no occurrence there",
            ));
        };
        let path = self.place.item(&occurrence);
        let ask = self.place.ask(self.graph, "changing an occurrence", &path, &[]);
        self.graph.change(&ask, Method::PATCH, Some(serialized(&fields))).await.map(drop)
    }

    /// What an occurrence has that the series would not give it.
    fn differences(&self, exception: &Exception) -> Map<String, Value> {
        let usual = described(self.event);
        let mut fields = described(&exception.event);
        // Only one of the two is written.
        let same_place = exception.event.locations == self.event.locations;
        fields.retain(|name, value| match name.as_str() {
            "location" | "locations" => !same_place,
            _ => usual.get(name) != Some(value),
        });
        let length = self.event.end.local - self.event.start.local;
        let original = &exception.original;
        let planned_end = ZonedTime {
            local: original.local.checked_add(length).unwrap_or(original.local),
            zone: original.zone.clone(),
        };
        let (start, end) = (&exception.event.start, &exception.event.end);
        if start != original || *end != planned_end {
            fields.insert("start".into(), zoned(start, self.clock));
            fields.insert("end".into(), zoned(end, self.clock));
        }
        fields
    }

    /// The unchanged occurrence that begins at a time on the series' clock.
    async fn find(&self, at: PrimitiveDateTime) -> Result<Option<String>, ExchangeError> {
        let bound = |days: i64| {
            let near = at.checked_add(Duration::days(days)).unwrap_or(at);
            format!("{}Z", local_text(near))
        };
        let (from, to) = (bound(-2), bound(2));
        let mut path = self.place.item(self.id);
        path.push("instances");
        let query = [
            ("startDateTime", from.as_str()),
            ("endDateTime", &to),
            ("$select", "id,type,start"),
            ("$top", "200"),
        ];
        let prefer = match self.clock {
            Clock::Own => zones::preference(&self.event.start.zone),
            Clock::Utc(_) => None,
        };
        let ask = self.place.ask(self.graph, "looking for an occurrence", &path, &query);
        let page: Listing<Occurrence> = self.graph.json(&Ask { prefer, ..ask }).await?;
        let unchanged =
            page.value.into_iter().filter(|one| one.kind.as_deref() != Some("exception"));
        let timed: Vec<(PrimitiveDateTime, String)> = unchanged
            .filter_map(|one| Some((zones::zoned(one.start.as_ref(), "start").ok()?.local, one.id)))
            .collect();
        let exact = timed.iter().find(|(start, _)| *start == at);
        let mut same_day = timed.iter().filter(|(start, _)| start.date() == at.date());
        let only = same_day.next().filter(|_| same_day.next().is_none());
        Ok(exact.or(only).map(|(_, id)| id.clone()))
    }
}
