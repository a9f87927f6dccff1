"""Reads events and contacts with libraries of other people and compares them with what they were
made from: python3 check.py DIRECTORY. Prints a line for each difference, and counts at the end."""

import base64
import datetime
import json
import pathlib
import re
import sys
import zoneinfo

import icalendar
import recurring_ical_events
import vobject

directory = pathlib.Path(sys.argv[1])
differences = 0
compared = 0


def same(where, what, expected, found):
    global differences, compared
    compared += 1
    if expected != found:
        differences += 1
        print(f"{where}: {what}: expected {expected!r}, found {found!r}")


def text(value):
    return None if value is None else str(value)


def normal(value):
    """As a text can stand in these formats: no control characters, one kind of line end."""
    return re.sub("[\x7f-\x9f]", "", re.sub("\r\n?|[\u2028\u2029]", "\n", value))


def unescaped(value):
    """The library leaves texts of properties that it does not know as they are."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], str(value))


def instant(value):
    return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))


def in_zone(local, zone):
    time = datetime.datetime.fromisoformat(local)
    return time.replace(tzinfo=zoneinfo.ZoneInfo(zone)) if zone else time


def moment(value):
    """Comparable: a date, a floating time, or a time as UTC."""
    if not isinstance(value, datetime.datetime) or value.tzinfo is None:
        return str(value)
    return str(value.astimezone(datetime.timezone.utc))


def many(value):
    return [] if value is None else value if isinstance(value, list) else [value]


ROLES = {
    "required": ("INDIVIDUAL", "REQ-PARTICIPANT"),
    "optional": ("INDIVIDUAL", "OPT-PARTICIPANT"),
    "resource": ("RESOURCE", "NON-PARTICIPANT"),
}
ANSWERS = {"accepted": "ACCEPTED", "declined": "DECLINED", "tentative": "TENTATIVE", "organizer": "ACCEPTED"}
CLASSES = {"normal": "PUBLIC", "personal": "X-PERSONAL", "private": "PRIVATE", "confidential": "CONFIDENTIAL"}
STATUS = {"free": "FREE", "tentative": "TENTATIVE", "busy": "BUSY", "oof": "OOF", "workingElsewhere": "WORKINGELSEWHERE"}


def check_event(where, event, found, uid):
    same(where, "UID", uid, text(found["UID"]))
    same(where, "SUMMARY", event["subject"], text(found.get("SUMMARY")) or "")
    body = event["body"]
    if body["type"] == "html":
        same(where, "X-ALT-DESC", normal(body["content"]), unescaped(found["X-ALT-DESC"]))
        same(where, "X-ALT-DESC type", "text/html", found["X-ALT-DESC"].params["FMTTYPE"])
        words = re.sub(r"<[^>]*>", " ", body["content"]).replace("&amp;", "&").split()
        same(where, "DESCRIPTION", words, text(found["DESCRIPTION"]).split())
    else:
        same(where, "DESCRIPTION", normal(body["content"]), text(found.get("DESCRIPTION")) or "")
    same(where, "LOCATION", "; ".join(event.get("locations", [])), text(found.get("LOCATION")) or "")
    for name, key in [("CREATED", "created"), ("LAST-MODIFIED", "modified")]:
        expected = event.get(key)
        value = found.get(name)
        same(where, name, expected and instant(expected), value and value.dt)
    same(where, "DTSTAMP", instant(event["modified"]), found["DTSTAMP"].dt)
    categories = found.get("CATEGORIES")
    same(where, "CATEGORIES", event.get("categories", []), [str(c) for c in categories.cats] if categories else [])
    same(where, "PRIORITY", {"high": 1, "normal": 5, "low": 9}[event["importance"]], int(found["PRIORITY"]))
    same(where, "CLASS", CLASSES[event["sensitivity"]], text(found["CLASS"]))
    show_as = event["show_as"]
    same(where, "BUSYSTATUS", STATUS.get(show_as), text(found.get("X-MICROSOFT-CDO-BUSYSTATUS")))
    transparent = show_as in ("free", "workingElsewhere")
    same(where, "TRANSP", "TRANSPARENT" if transparent else "OPAQUE", text(found["TRANSP"]))
    status = "CANCELLED" if event["cancelled"] else "TENTATIVE" if show_as == "tentative" else "CONFIRMED"
    same(where, "STATUS", status, text(found["STATUS"]))
    same(where, "CONFERENCE", event.get("online_meeting_url"), text(found.get("CONFERENCE")))
    organizer = event.get("organizer")
    value = found.get("ORGANIZER")
    same(where, "ORGANIZER", organizer and "mailto:" + organizer["address"], text(value))
    if organizer:
        same(where, "ORGANIZER CN", organizer.get("name"), value.params.get("CN"))
    attendees = many(found.get("ATTENDEE"))
    expected = [
        (
            "mailto:" + one["address"], one.get("name"), *ROLES[one["role"]],
            ANSWERS.get(one["response"], "NEEDS-ACTION"),
            "TRUE" if event["response_requested"] else None,
        )
        for one in event.get("attendees", [])
    ]
    p = lambda one, name: one.params.get(name) and str(one.params[name])
    values = [
        (str(one), p(one, "CN"), p(one, "CUTYPE"), p(one, "ROLE"), p(one, "PARTSTAT"), p(one, "RSVP"))
        for one in attendees
    ]
    same(where, "ATTENDEE", expected, values)
    alarms = [alarm["TRIGGER"].dt for alarm in found.walk("VALARM")]
    minutes = event.get("reminder_minutes")
    same(where, "TRIGGER", [] if minutes is None else [-datetime.timedelta(minutes=minutes)], alarms)


def check_zone(where, zone, begin, end):
    """The rules that the calendar gives of a zone, against those of the system."""
    name = str(zone["TZID"])
    ours = zone.to_tz(lookup_tzid=False)
    theirs = zoneinfo.ZoneInfo(name)
    day = begin
    wrong = []
    while day <= end:
        expected = day.replace(tzinfo=theirs).utcoffset()
        # Not while clocks are changed: hours that are there twice or never have no right answer.
        if expected == day.replace(tzinfo=theirs, fold=1).utcoffset():
            found = day.replace(tzinfo=ours).utcoffset()
            if expected != found:
                wrong.append((str(day), str(expected), str(found)))
        day += datetime.timedelta(hours=71)
    same(where, f"VTIMEZONE {name}", [], wrong[:3])


def check_events():
    cases = [json.loads(line) for line in (directory / "events.jsonl").read_text(encoding="utf-8").split("\n") if line]
    occurrences_compared = zones = 0
    for number, case in enumerate(cases):
        where = f"event {number}"
        event = case["event"]
        raw = (directory / f"{number}.ics").read_bytes()
        calendar = icalendar.Calendar.from_ical(raw)
        errors = [str(e) for part in calendar.walk() for e in getattr(part, "errors", [])]
        same(where, "parse errors", [], errors)
        master, *others = calendar.walk("VEVENT")
        check_event(where, event, master, event["uid"])
        same(where, "start", moment(at(case["start"])), moment(master["DTSTART"].dt))
        same(where, "end", moment(at(case["end"])), moment(master["DTEND"].dt))
        same(where, "recurs", event.get("recurrence") is not None, "RRULE" in master)
        attached = [base64.b64decode(one.to_ical()) for one in many(master.get("ATTACH"))]
        same(where, "ATTACH", case["attachments"], [one.decode("latin1") for one in attached])
        names = [str(one.params.get("X-FILENAME")) for one in many(master.get("ATTACH"))]
        same(where, "X-FILENAME", [a["name"] for a in event.get("attachments", [])], names)
        types = [str(one.params.get("FMTTYPE")) for one in many(master.get("ATTACH"))]
        same(where, "FMTTYPE", [a["content_type"] for a in event.get("attachments", [])], types)
        exceptions = event.get("exceptions", [])
        same(where, "exceptions", len(exceptions), len(others))
        for exception, found in zip(exceptions, others):
            check_event(f"{where}, exception", exception["event"], found, event["uid"])
        begin = datetime.datetime.fromisoformat(case["begin"])
        end = max(times[1][0] for times in [*case["occurrences"], [case["start"], case["end"]]])
        end = min(datetime.datetime.fromisoformat(end), begin + datetime.timedelta(days=1200))
        for zone in calendar.walk("VTIMEZONE"):
            check_zone(where, zone, begin, end)
            zones += 1
        if event.get("recurrence") is None:
            continue
        # Days that are compared are fewer than those expanded: zones are hours apart.
        span = (begin - datetime.timedelta(days=2), begin + datetime.timedelta(days=case["days"]))
        last = str(span[1].date() - datetime.timedelta(days=10))
        found = sorted(
            (moment(one["DTSTART"].dt), moment(one["DTEND"].dt))
            for one in recurring_ical_events.of(calendar).between(*span)
        )
        found = [one for one in found if one[0] < last]
        expected = sorted((moment(at(start)), moment(at(end))) for start, end in case["occurrences"])
        expected = [one for one in expected if one[0] < last]
        occurrences_compared += len(expected)
        same(where, f"occurrences of {master['RRULE'].to_ical()}", [], sorted(set(expected) ^ set(found))[:6])
        same(where, "number of occurrences", len(expected), len(found))
    return len(cases), occurrences_compared, zones


TASK_STATUS = {"inProgress": "IN-PROCESS", "completed": "COMPLETED"}


def check_tasks():
    cases = [json.loads(line) for line in (directory / "tasks.jsonl").read_text(encoding="utf-8").split("\n") if line]
    identifiers = set()
    for number, case in enumerate(cases):
        where = f"task {number}"
        task = case["task"]
        calendar = icalendar.Calendar.from_ical((directory / f"task {number}.ics").read_bytes())
        errors = [str(e) for part in calendar.walk() for e in getattr(part, "errors", [])]
        same(where, "parse errors", [], errors)
        found, = calendar.walk("VTODO")
        identifiers.add(text(found["UID"]))
        same(where, "SUMMARY", normal(task["title"]), text(found.get("SUMMARY")) or "")
        same(where, "DESCRIPTION", normal(task["body"]["content"]), text(found.get("DESCRIPTION")) or "")
        same(where, "STATUS", TASK_STATUS.get(task["status"], "NEEDS-ACTION"), text(found["STATUS"]))
        same(where, "PRIORITY", {"high": 1, "normal": 5, "low": 9}[task["importance"]], int(found["PRIORITY"]))
        categories = found.get("CATEGORIES")
        same(where, "CATEGORIES", task.get("categories", []), [str(c) for c in categories.cats] if categories else [])
        date = lambda name: found.get(name) and str(found[name].dt)
        same(where, "DUE", case["due"], date("DUE"))
        begins = case["start"]
        same(where, "recurs", task.get("recurrence") is not None, "RRULE" in found)
        if task.get("recurrence") is None or begins:
            same(where, "DTSTART", begins, date("DTSTART"))
        else:
            same(where, "has a beginning", True, "DTSTART" in found)
        completed = found.get("COMPLETED")
        same(where, "COMPLETED", case["completed"], completed and completed.dt.strftime("%Y-%m-%dT%H:%M:%S"))
        alarms = [alarm["TRIGGER"].dt.strftime("%Y-%m-%dT%H:%M:%S") for alarm in found.walk("VALARM")]
        reminder = case["reminder"] if task["reminder_on"] else None
        same(where, "TRIGGER", [reminder] if reminder else [], alarms)
        steps = [("[x] " if step["done"] else "[ ] ") + normal(step["title"]) for step in task.get("steps", [])]
        same(where, "COMMENT", steps, [str(one) for one in many(found.get("COMMENT"))])
        attached = many(found.get("ATTACH"))
        binary = [one for one in attached if one.params.get("ENCODING") == "BASE64"]
        same(where, "ATTACH", case["attachments"], [base64.b64decode(one.to_ical()).decode("latin1") for one in binary])
        links = [str(one) for one in attached if one.params.get("ENCODING") != "BASE64"]
        same(where, "links", [link["url"] for link in task.get("links", [])], links)
    same("tasks", "identifiers", len(cases), len(identifiers))
    return len(cases)


def at(value):
    local, zone = value
    return datetime.date.fromisoformat(local) if len(local) == 10 else in_zone(local, zone)


def check_contacts():
    cases = [json.loads(line) for line in (directory / "contacts.jsonl").read_text(encoding="utf-8").split("\n") if line]
    for number, case in enumerate(cases):
        contact = case["contact"]
        where = f"contact {number}"
        card = vobject.readOne((directory / f"{number}.vcf").read_bytes().decode("utf-8"))
        card.validate()
        get = lambda name: [one.value for one in card.contents.get(name, [])]
        typed = lambda name: [(one.params.get("TYPE", [""])[0], one.value) for one in card.contents.get(name, [])]
        filled = lambda *values: [normal(value) for value in values if value]
        same(where, "FN", [contact["display_name"]], get("fn"))
        n = card.n.value
        same(where, "N", (contact["surname"], contact["given_name"], contact["middle_name"], contact["title"], contact["generation"]), (n.family, n.given, n.additional, n.prefix, n.suffix))
        for name, key in [("nickname", "nickname"), ("sort-string", "file_as"), ("title", "job_title"), ("role", "profession"), ("x-office-location", "office_location"), ("x-manager", "manager"), ("x-assistant", "assistant"), ("x-spouse", "spouse"), ("note", "notes"), ("url", "business_home_page"), ("x-initials", "initials"), ("x-phonetic-first-name", "yomi_given_name"), ("x-phonetic-last-name", "yomi_surname"), ("x-phonetic-org", "yomi_company")]:
            same(where, name, filled(contact[key]), get(name))
        org = [contact["company"], contact["department"]]
        org = [org] if org[1] else [[org[0]]] if org[0] else []
        same(where, "ORG", org, get("org"))
        same(where, "X-CHILD", contact["children"], get("x-child"))
        same(where, "EMAIL", [one["address"] for one in contact["emails"]], get("email"))
        phones = [("HOME", p) for p in contact["home_phones"]] + [("WORK", p) for p in contact["business_phones"]] + [("CELL", p) for p in filled(contact["mobile_phone"])]
        same(where, "TEL", phones, typed("tel"))
        expected = []
        for kind in ("home", "business", "other"):
            address = contact[kind + "_address"]
            if any(address.values()):
                name = {"business": "WORK"}.get(kind, kind.upper())
                expected.append((name, *[normal(address[key]) for key in ("street", "city", "state", "postal_code", "country")]))
        found = [(kind, a.street, a.city, a.region, a.code, a.country) for kind, a in typed("adr")]
        same(where, "ADR", expected, found)
        same(where, "IMPP", [one if ":" in one else "im:" + one for one in contact["im_addresses"]], get("impp"))
        same(where, "BDAY", filled(contact["birthday"]), get("bday"))
        categories = [c for one in get("categories") for c in one]
        same(where, "CATEGORIES", contact["categories"], categories)
        same(where, "CLASS", [CLASSES[contact["sensitivity"]]], get("class"))
        same(where, "PHOTO", [case["photo"]] if case["photo"] is not None else [], [one.decode("latin1") for one in get("photo")])
        same(where, "REV", [instant(contact["modified"]).strftime("%Y%m%dT%H%M%SZ")], get("rev"))
    return len(cases)


events, occurrences, zones = check_events()
tasks = check_tasks()
contacts = check_contacts()
print(json.dumps({"events": events, "tasks": tasks, "occurrences": occurrences, "zones": zones, "contacts": contacts, "compared": compared, "differences": differences}))
sys.exit(1 if differences else 0)
