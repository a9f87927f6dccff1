"""Reads an exported calendar and exported cards with libraries of other people and compares them
with what the provider held: CONTENTS.json ALL.ics ALL.vcf. Prints what it found as JSON."""

import base64
import datetime
import hashlib
import json
import re
import sys

import icalendar
import vobject

contents = json.load(open(sys.argv[1], encoding="utf-8"))
calendar = icalendar.Calendar.from_ical(open(sys.argv[2], "rb").read())
cards = list(vobject.readComponents(open(sys.argv[3], encoding="utf-8").read()))
differences = []


def same(where, what, expected, found):
    if expected != found:
        differences.append(f"{where}: {what}: expected {expected!r}, found {found!r}")


def instant(time):
    assert time["timeZone"] == "UTC", time
    return datetime.datetime.fromisoformat(time["dateTime"][:19] + "+00:00")


def utc(value):
    value = value.dt
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc)
    return value


def plain(text):
    return re.sub("\r\n?", "\n", text or "")


def many(value):
    return [] if value is None else value if isinstance(value, list) else [value]


masters, exceptions = {}, {}
for component in calendar.walk("VEVENT"):
    if "RECURRENCE-ID" in component:
        exceptions.setdefault(str(component["UID"]), []).append(component)
    else:
        assert str(component["UID"]) not in masters, "a UID twice"
        masters[str(component["UID"])] = component


def compare(where, event, found):
    same(where, "subject", plain(event.get("subject")), plain(str(found.get("SUMMARY", ""))))
    for name, key in [("start", "DTSTART"), ("end", "DTEND")]:
        expected, value = instant(event[name]), utc(found[key])
        if event["isAllDay"]:
            same(where, name, expected.date(), value)
        else:
            same(where, name, expected, value)
    expected = sorted(event.get("categories") or [])
    categories = [str(one) for group in many(found.get("CATEGORIES")) for one in group.cats]
    same(where, "categories", expected, sorted(categories))
    expected = sorted(one["emailAddress"]["address"].lower() for one in event.get("attendees") or [])
    attendees = [str(one)[7:].lower() for one in many(found.get("ATTENDEE"))]
    same(where, "attendees", expected, sorted(attendees))
    classes = {"normal": "PUBLIC", "confidential": "CONFIDENTIAL"}
    same(where, "class", classes.get(event["sensitivity"], "PRIVATE"), str(found["CLASS"]))
    location = (event.get("location") or {}).get("displayName") or ""
    shown = plain(str(found.get("LOCATION", "")))
    if location and not shown.startswith(plain(location)):
        same(where, "location", location, shown)
    if event["body"]["contentType"] == "text":
        same(where, "body", plain(event["body"]["content"]).strip(),
             plain(str(found.get("DESCRIPTION", ""))).strip())
    alarms = [part for part in found.subcomponents if part.name == "VALARM"]
    same(where, "reminder", 1 if event["isReminderOn"] else 0, len(alarms))


for event in contents["events"]:
    where = event["subject"]
    found = masters.pop(event["iCalUId"], None)
    if found is None:
        differences.append(f"{where}: not in the calendar")
        continue
    compare(where, event, found)
    same(where, "recurs", event.get("recurrence") is not None, "RRULE" in found)
    excluded = [date for group in many(found.get("EXDATE")) for date in group.dts]
    same(where, "cancelled", len(event["cancelled"]), len(excluded))
    there = exceptions.pop(event["iCalUId"], [])
    same(where, "exceptions", len(event["exceptions"]), len(there))
    order = sorted(there, key=lambda one: str(utc(one["RECURRENCE-ID"])))
    for expected, one in zip(sorted(event["exceptions"], key=lambda e: e["original_date"]), order):
        compare(f"{where}, {expected['original_date']}", expected, one)
    expected = sorted(one["sha256"] for one in event["attachments"])
    attached = [hashlib.sha256(base64.b64decode(one.to_ical())).hexdigest() for one in many(found.get("ATTACH"))]
    same(where, "attachments", expected, sorted(attached))
for uid in list(masters) + list(exceptions):
    differences.append(f"{uid}: in the calendar, but not in the mailbox")


def key(name, emails):
    return (name, tuple(sorted(emails)))


unread = {}
for card in cards:
    emails = [one.value.lower() for one in card.contents.get("email", [])]
    unread.setdefault(key(card.fn.value, emails), []).append(card)
for contact in contents["contacts"]:
    where = contact["displayName"]
    emails = [one["address"].lower() for one in contact.get("emailAddresses") or [] if one.get("address")]
    waiting = unread.get(key(where or "", emails)) or unread.get(key(contact.get("fileAs") or "", emails))
    if not waiting:
        differences.append(f"{where}: no card with its name and addresses {emails}")
        continue
    card = waiting.pop(0)
    same(where, "family name", contact.get("surname") or "", card.n.value.family or "")
    same(where, "given name", contact.get("givenName") or "", card.n.value.given or "")
    numbers = (contact.get("homePhones") or []) + (contact.get("businessPhones") or [])
    numbers += [contact["mobilePhone"]] if contact.get("mobilePhone") else []
    same(where, "telephones", sorted(numbers), sorted(one.value for one in card.contents.get("tel", [])))
    company = contact.get("companyName") or ""
    same(where, "company", company, (card.org.value[0] if hasattr(card, "org") else ""))
    note = plain(contact.get("personalNotes"))
    same(where, "notes", note, plain(card.note.value) if hasattr(card, "note") else "")
    streets = [contact.get(kind) for kind in ("homeAddress", "businessAddress", "otherAddress")]
    streets = sorted(plain(one.get("street")) for one in streets if one and any(one.values()))
    same(where, "addresses", len(streets), len(card.contents.get("adr", [])))
    photo = card.photo.value if hasattr(card, "photo") else None
    same(where, "photograph", contact.get("photo_sha256"),
         hashlib.sha256(photo).hexdigest() if photo else None)

print(json.dumps({
    "events": len(contents["events"]),
    "contacts": len(contents["contacts"]),
    "differences": differences[:20],
}))
