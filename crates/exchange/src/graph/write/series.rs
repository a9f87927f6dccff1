//! Occurrences of a series that are not like the others: changed, or taken out.

use mailkeep_model::{Event, Exception, ZonedTime};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::{Date, Duration, PrimitiveDateTime};

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

/// Cancels and changes occurrences of a series that was just made. What cannot be done is said;
/// it does not cost the series.
///
/// Exchange refuses to move an occurrence onto or past another one, so the order matters. What was
/// cancelled is no longer in the way; what moves back finds its place free in the order of the
/// days, and what moves on, in the opposite order.
pub(super) async fn write(
    graph: &GraphProvider,
    place: &Place<'_>,
    id: &str,
    event: &Event,
    clock: &Clock,
) -> Result<Vec<String>, ExchangeError> {
    let series = Series { graph, place, id, event, clock: *clock };
    let mut lost = Vec::new();
    for day in &event.cancelled_occurrences {
        if let Err(reason) = refused(series.cancel(*day).await)? {
            lost.push(format!("that the occurrence of {day} was deleted: {reason}"));
        }
    }
    let mut changes: Vec<&Exception> = event.exceptions.iter().collect();
    changes.sort_by_key(|exception| exception.original.local);
    let mut again = Vec::new();
    for exception in changes {
        if refused(series.change(exception, Extent::All).await)?.is_err() {
            again.push(exception);
        }
    }
    for exception in again.into_iter().rev() {
        let Err(reason) = refused(series.change(exception, Extent::All).await)? else { continue };
        let day = exception.original.local.date();
        let mut what = "what was changed in";
        if series.moves(exception)
            && refused(series.change(exception, Extent::ButTheTime).await)?.is_ok()
        {
            what = "the changed time of";
        }
        lost.push(format!("{what} the occurrence of {day}: {reason}"));
    }
    Ok(lost)
}

/// Turns a refusal of this one occurrence into words; other failures end the attempt.
fn refused<T>(result: Result<T, ExchangeError>) -> Result<Result<T, String>, ExchangeError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.is_transient() => Err(error),
        Err(ExchangeError::Answer { message, .. }) => Ok(Err(message)),
        Err(ExchangeError::NotFound { .. }) => Ok(Err("it is not there".into())),
        // The same right has just made the series.
        Err(ExchangeError::Forbidden { message, .. }) => Ok(Err(message)),
        Err(ExchangeError::Unsupported { reason, .. }) => Ok(Err(reason)),
        Err(error) => Err(error),
    }
}

/// How much of a change is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    All,
    ButTheTime,
}

struct Series<'a> {
    graph: &'a GraphProvider,
    place: &'a Place<'a>,
    id: &'a str,
    event: &'a Event,
    clock: Clock,
}

impl Series<'_> {
    async fn cancel(&self, day: Date) -> Result<(), ExchangeError> {
        match self.find(on_clock(day, self.event, self.clock)).await? {
            Some(occurrence) => remove(self.graph, self.place, &occurrence).await,
            // Without it, it does not take place either.
            None => Ok(()),
        }
    }

    async fn change(&self, exception: &Exception, extent: Extent) -> Result<(), ExchangeError> {
        let mut fields = self.differences(exception);
        if extent == Extent::ButTheTime {
            fields.retain(|name, _| !["start", "end", "isAllDay"].contains(&name.as_str()));
        }
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

    fn moves(&self, exception: &Exception) -> bool {
        self.differences(exception).contains_key("start")
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
