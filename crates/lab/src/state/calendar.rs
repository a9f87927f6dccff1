//! Calendars and the events in them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use time::{Date, PrimitiveDateTime};

use super::recurrence::Recurrence;
use super::zone::Zone;
use super::{ExtendedProperties, MailboxState, Refusal};
use crate::compose::Attachment;

/// The number of the calendar that every mailbox has. It is none that a mailbox gives out itself.
pub(crate) const DEFAULT_CALENDAR: u64 = 0x7fff_0000_0000_0001;

/// All calendars of a mailbox. An untouched one costs the default calendar and nothing else.
#[derive(Debug)]
pub(crate) struct Calendars {
    /// The default calendar is the first.
    pub(crate) list: Vec<Calendar>,
    pub(crate) events: BTreeMap<u64, Event>,
    /// Events that were deleted, by the change that did it.
    pub(crate) gone: BTreeMap<u64, GoneEvent>,
    /// Calendars that were deleted, by the change that did it.
    pub(crate) lost: BTreeMap<u64, u64>,
}

/// What is left of an event that was deleted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GoneEvent {
    pub(crate) item: u64,
    pub(crate) location: u64,
    pub(crate) calendar: u64,
    pub(crate) entered: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    pub(crate) number: u64,
    pub(crate) name: Box<str>,
    pub(crate) color: &'static str,
    pub(crate) changed: u64,
    /// Whose it is, when somebody else has shared it.
    pub(crate) shared: Option<Shared>,
}

/// A calendar that somebody else has shared.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// Address of the one whose it is.
    pub(crate) owner: Box<str>,
    pub(crate) can_edit: bool,
}

/// A single event, or a series with what differs from its rule.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) calendar: u64,
    /// Part of the regular id.
    pub(crate) location: u64,
    /// The change that made it.
    pub(crate) entered: u64,
    pub(crate) changed: u64,
    /// Unix times.
    pub(crate) created: i64,
    pub(crate) modified: i64,
    /// `transactionId` of the request that made it.
    pub(crate) transaction: Option<Box<str>>,
    pub(crate) details: Details,
    pub(crate) attachments: Vec<Attached>,
    pub(crate) recurrence: Option<Recurrence>,
    /// By the day on which the rule has them, in the zone of the recurrence.
    pub(crate) exceptions: BTreeMap<Date, Exception>,
    pub(crate) cancelled: BTreeSet<Date>,
}

/// What an event and an exception both have.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    pub(crate) start: Moment,
    pub(crate) end: Moment,
    pub(crate) all_day: bool,
    /// Properties as Graph writes them; of an exception only those that differ from the series.
    pub(crate) fields: Map<String, Value>,
    pub(crate) properties: ExtendedProperties,
}

/// An occurrence that differs from its series.
#[derive(Clone, Debug)]
pub(crate) struct Exception {
    pub(crate) details: Details,
    /// Its own, when they are not those of the series.
    pub(crate) attachments: Option<Vec<Attached>>,
    pub(crate) changed: u64,
    pub(crate) created: i64,
    pub(crate) modified: i64,
}

/// What a clock shows in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) local: PrimitiveDateTime,
    pub(crate) zone: Box<str>,
}

/// An attachment of an event.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    pub(crate) number: u64,
    pub(crate) modified: i64,
    pub(crate) file: Attachment,
}

/// What is seen of an event: itself, or one time at which its series takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aspect {
    Whole,
    Occurrence(Date),
}

impl Default for Calendars {
    fn default() -> Self {
        let calendar = Calendar {
            number: DEFAULT_CALENDAR,
            name: "Calendar".into(),
            color: "auto",
            changed: 0,
            shared: None,
        };
        Self {
            list: vec![calendar],
            events: BTreeMap::new(),
            gone: BTreeMap::new(),
            lost: BTreeMap::new(),
        }
    }
}

impl Calendars {
    pub(crate) fn find(&self, number: u64) -> Option<&Calendar> {
        self.list.iter().find(|calendar| calendar.number == number)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Calendar> {
        let name = name.to_lowercase();
        self.list.iter().find(|calendar| calendar.name.to_lowercase() == name)
    }
}

impl Moment {
    /// Unix time.
    pub(crate) fn unix(&self) -> i64 {
        self.zone().unix(self.local)
    }

    /// The zone was known when the moment was taken in.
    pub(crate) fn zone(&self) -> Zone {
        Zone::find(&self.zone).unwrap_or_else(Zone::utc)
    }

    /// What the clock shows in another zone.
    pub(crate) fn seen_in(&self, zone: &Zone) -> PrimitiveDateTime {
        if *zone.name == *self.zone { self.local } else { zone.local(self.unix()) }
    }
}

impl Event {
    /// Start and end of what is seen; days that are whole have no zone.
    pub(crate) fn times(&self, aspect: Aspect) -> (Moment, Moment) {
        match aspect {
            Aspect::Whole => (self.details.start.clone(), self.details.end.clone()),
            Aspect::Occurrence(date) => match self.exceptions.get(&date) {
                Some(exception) => (exception.details.start.clone(), exception.details.end.clone()),
                None => self.planned(date),
            },
        }
    }

    /// When the rule has the occurrence of a day: at the same local time as all others.
    pub(crate) fn planned(&self, date: Date) -> (Moment, Moment) {
        let zone = self.series_zone();
        let (start, end) = if self.details.all_day {
            (self.details.start.local, self.details.end.local)
        } else {
            (self.details.start.seen_in(&zone), self.details.end.seen_in(&zone))
        };
        let last = date.checked_add(end.date() - start.date()).unwrap_or(date);
        let moment = |day: Date, time| Moment {
            local: PrimitiveDateTime::new(day, time),
            zone: zone.name.clone(),
        };
        (moment(date, start.time()), moment(last, end.time()))
    }

    /// The zone by which the days of the series are counted.
    pub(crate) fn series_zone(&self) -> Zone {
        let name = self.recurrence.as_ref().map_or(&self.details.start.zone, |series| &series.zone);
        Zone::find(name).unwrap_or_else(Zone::utc)
    }

    /// A property as it is seen; an exception has what it does not say itself from its series.
    pub(crate) fn field(&self, aspect: Aspect, name: &str) -> Option<&Value> {
        let own = match aspect {
            Aspect::Whole => None,
            Aspect::Occurrence(date) => self.exceptions.get(&date),
        };
        own.and_then(|exception| exception.details.fields.get(name))
            .or_else(|| self.details.fields.get(name))
    }

    pub(crate) fn details(&self, aspect: Aspect) -> &Details {
        match aspect {
            Aspect::Whole => &self.details,
            Aspect::Occurrence(date) => {
                self.exceptions.get(&date).map_or(&self.details, |exception| &exception.details)
            }
        }
    }

    pub(crate) fn attachments(&self, aspect: Aspect) -> &[Attached] {
        let own = match aspect {
            Aspect::Whole => None,
            Aspect::Occurrence(date) => self.exceptions.get(&date),
        };
        own.and_then(|exception| exception.attachments.as_deref()).unwrap_or(&self.attachments)
    }

    /// Days of the series that still take place, with exceptions, in the order of the rule.
    pub(crate) fn occurrences(&self) -> impl Iterator<Item = Date> + '_ {
        self.recurrence
            .iter()
            .flat_map(Recurrence::dates)
            .filter(|date| !self.cancelled.contains(date))
    }

    /// Whether the owner of the mailbox invited to it.
    pub(crate) fn is_organizer(&self) -> bool {
        self.details.fields.get("isOrganizer").and_then(Value::as_bool).unwrap_or(true)
    }

    /// Addresses of those who were invited.
    pub(crate) fn attendees(&self, aspect: Aspect) -> Vec<String> {
        let list = self.field(aspect, "attendees").and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(|attendee| attendee["emailAddress"]["address"].as_str())
            .map(str::to_lowercase)
            .collect()
    }
}

impl MailboxState {
    pub(crate) fn create_calendar(
        &mut self,
        name: &str,
        color: &'static str,
    ) -> Result<u64, Refusal> {
        if self.calendars.named(name).is_some() {
            return Err(Refusal::FolderExists);
        }
        let (number, changed) = (self.next_number(), self.next_change());
        self.calendars.list.push(Calendar {
            number,
            name: name.into(),
            color,
            changed,
            shared: None,
        });
        Ok(number)
    }

    /// Somebody else shares a calendar; the mailbox may have one of that name already. It comes
    /// before those that the mailbox has made.
    pub(crate) fn share_calendar(&mut self, name: &str, shared: Shared) -> u64 {
        let (number, changed) = (self.next_number(), self.next_change());
        let calendar =
            Calendar { number, name: name.into(), color: "auto", changed, shared: Some(shared) };
        self.calendars.list.insert(1, calendar);
        number
    }

    pub(crate) fn change_calendar(
        &mut self,
        number: u64,
        name: Option<&str>,
        color: Option<&'static str>,
    ) -> Result<(), Refusal> {
        if let Some(name) = name {
            if number == DEFAULT_CALENDAR {
                return Err(Refusal::Distinguished);
            }
            if self.calendars.named(name).is_some_and(|other| other.number != number) {
                return Err(Refusal::FolderExists);
            }
        }
        let changed = self.next_change();
        let mut list = self.calendars.list.iter_mut();
        let calendar =
            list.find(|calendar| calendar.number == number).ok_or(Refusal::NoSuchFolder)?;
        if let Some(name) = name {
            calendar.name = name.into();
        }
        calendar.color = color.unwrap_or(calendar.color);
        calendar.changed = changed;
        Ok(())
    }

    /// Deletes a calendar with its events; nobody is told.
    pub(crate) fn delete_calendar(&mut self, number: u64) -> Result<(), Refusal> {
        if number == DEFAULT_CALENDAR {
            return Err(Refusal::Distinguished);
        }
        if self.calendars.find(number).is_none() {
            return Err(Refusal::NoSuchFolder);
        }
        let events = self.calendars.events.iter();
        let inside: Vec<u64> =
            events.filter(|(_, e)| e.calendar == number).map(|(i, _)| *i).collect();
        for item in inside {
            self.delete_event(item)?;
        }
        let at = self.next_change();
        self.calendars.list.retain(|calendar| calendar.number != number);
        self.calendars.lost.insert(at, number);
        Ok(())
    }

    /// Adds an event; its `location`, `changed` and times are set here.
    pub(crate) fn add_event(&mut self, event: Event, now: i64) -> Result<u64, Refusal> {
        if self.calendars.find(event.calendar).is_none() {
            return Err(Refusal::NoSuchFolder);
        }
        let (item, location, changed) =
            (self.next_number(), self.next_number(), self.next_change());
        let entered = changed;
        let event = Event { location, entered, changed, created: now, modified: now, ..event };
        self.calendars.events.insert(item, event);
        Ok(item)
    }

    /// Changes an event; the change counts for the series and, if it is about one, for the exception.
    pub(crate) fn change_event(
        &mut self,
        item: u64,
        aspect: Aspect,
        now: i64,
        change: impl FnOnce(&mut Event),
    ) -> Result<(), Refusal> {
        let at = self.next_change();
        let event = self.calendars.events.get_mut(&item).ok_or(Refusal::NoSuchItem)?;
        change(event);
        event.changed = at;
        event.modified = now;
        if let Aspect::Occurrence(date) = aspect
            && let Some(exception) = event.exceptions.get_mut(&date)
        {
            exception.changed = at;
            exception.modified = now;
        }
        Ok(())
    }

    pub(crate) fn delete_event(&mut self, item: u64) -> Result<Event, Refusal> {
        let at = self.next_change();
        let event = self.calendars.events.remove(&item).ok_or(Refusal::NoSuchItem)?;
        let Event { location, calendar, entered, .. } = event;
        self.calendars.gone.insert(at, GoneEvent { item, location, calendar, entered });
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::super::recurrence::{Pattern, Until};
    use super::*;

    fn weekly(zone: &str, start: PrimitiveDateTime, end: PrimitiveDateTime) -> Event {
        let moment = |local| Moment { local, zone: zone.into() };
        Event {
            calendar: DEFAULT_CALENDAR,
            location: 0,
            entered: 0,
            changed: 0,
            created: 0,
            modified: 0,
            transaction: None,
            details: Details {
                start: moment(start),
                end: moment(end),
                all_day: false,
                fields: Map::new(),
                properties: ExtendedProperties::default(),
            },
            attachments: Vec::new(),
            recurrence: Some(Recurrence {
                pattern: Pattern::Weekly {
                    days: vec![start.weekday()],
                    first_day: time::Weekday::Sunday,
                },
                interval: 1,
                first: start.date(),
                until: Until::Count(60),
                zone: zone.into(),
            }),
            exceptions: BTreeMap::new(),
            cancelled: BTreeSet::new(),
        }
    }

    #[test]
    fn a_weekly_meeting_stays_at_its_hour_when_the_clock_changes() {
        for (zone, spring, autumn) in [
            ("W. Europe Standard Time", date!(2027 - 03 - 28), date!(2026 - 10 - 25)),
            ("America/New_York", date!(2027 - 03 - 14), date!(2026 - 11 - 01)),
            ("AUS Eastern Standard Time", date!(2026 - 10 - 04), date!(2027 - 04 - 04)),
        ] {
            let event = weekly(zone, datetime!(2026-09-02 23:30), datetime!(2026-09-03 01:00));
            let zone = Zone::find(zone).unwrap();
            let dates: Vec<Date> = event.occurrences().collect();
            let hour =
                |date: &Date| event.times(Aspect::Occurrence(*date)).0.unix().rem_euclid(86_400);
            for date in &dates {
                let (start, end) = event.times(Aspect::Occurrence(*date));
                let local = datetime!(2026-09-02 23:30).replace_date(*date);
                assert_eq!(zone.local(start.unix()), local);
                assert_eq!(end.unix() - start.unix(), 5400);
            }
            // Seen from UTC it changes its hour, with the first meeting after the change.
            for change in [spring, autumn] {
                let at = dates.iter().position(|date| *date >= change).unwrap();
                assert_ne!(hour(&dates[at]), hour(&dates[at - 1]), "{change}");
            }
            let changes = dates.windows(2).filter(|two| hour(&two[0]) != hour(&two[1])).count();
            assert!((2..=3).contains(&changes), "{changes}");
        }
    }
}
