"""Compares mbox files with what came out of Mailkeep.

    compare.py MBOX_TREE PERSON|* restored|eml|mbox FOUND
    compare.py OTHER_RESTORED * copies FOUND

MBOX_TREE holds PERSON/FOLDER.mbox, where a dot in a name separates sub-folders. Messages are
read with Python's own `mailbox`, nothing is unquoted, CRLF and LF count as the same. Prints one
line of JSON. Shares no code with Mailkeep.
"""

import collections
import hashlib
import json
import mailbox
import os
import re
import sys
from urllib.parse import unquote

MONTH = re.compile(r"\d{4}-\d{2}( \(\d+\))?$")
NAMED = 10


def normal(message):
    return message.replace(b"\r\n", b"\n")


def digest(message):
    return hashlib.sha256(message).hexdigest()


def messages_of(path):
    box = mailbox.mbox(path, create=False)
    try:
        for key in box.iterkeys():
            yield box.get_bytes(key)
    finally:
        box.close()


def expected_of(tree, wanted, ended):
    """(person, folder) -> messages, as digests."""
    found = {}
    for person in sorted(os.listdir(tree)):
        if wanted not in ("*", person):
            continue
        for name in sorted(os.listdir(os.path.join(tree, person))):
            if not name.endswith(".mbox"):
                continue
            folder = "/".join(part for part in name[: -len(".mbox")].split(".") if part)
            counted = found.setdefault((person, folder), collections.Counter())
            for message in messages_of(os.path.join(tree, person, name)):
                message = normal(message)
                if ended and message and not message.endswith(b"\n"):
                    message += b"\n"  # a message in an mbox ends its last line
                counted[digest(message)] += 1
    return found


def true_names(path):
    """Undoes what file names cannot hold: percent escapes."""
    return "/".join(unquote(part) for part in path.split("/"))


def told_names(path):
    """The folders that folders.json tells of: directory -> true name. Siblings that differ by case
    alone, such as somebody's mail folder "calendar" beside the calendar, have a mark in theirs."""
    with open(path, encoding="utf-8") as file:
        folders = json.load(file)["folders"]
    names = {folder["directory"]: folder["name"] for folder in folders}

    def whole(directory):
        above, slash, _ = directory.rpartition("/")
        return (whole(above) + "/" if slash else "") + names[directory]

    return {directory: whole(directory) for directory in names}


def files_of(root, person, names=None):
    """Folders of one mailbox: all directories but those of months, and the .eml files in them.
    Their names are those of `names`, or else the directories' own."""
    found = {}
    for directory, _, files in os.walk(root):
        parts = [] if directory == root else os.path.relpath(directory, root).split(os.sep)
        if parts and MONTH.match(parts[-1]):
            parts.pop()
        if not parts:
            continue
        path = "/".join(parts)
        folder = true_names(path) if names is None else names[path]
        counted = found.setdefault((person, folder), collections.Counter())
        for name in files:
            if name.endswith(".eml"):
                with open(os.path.join(directory, name), "rb") as file:
                    counted[digest(normal(file.read()))] += 1
    return found


def restored(root, properties=False):
    found = {}
    for mailbox_name in sorted(os.listdir(root)):
        mail = os.path.join(root, mailbox_name, "mail")
        if os.path.isdir(mail):
            person = unquote(mailbox_name).split("@")[0]
            names = told_names(os.path.join(root, mailbox_name, "folders.json"))
            found.update(files_of(mail, person, names))
            if properties:
                found.update(properties_of(mail, person))
    return found


def properties_of(root, person):
    """What the provider told of each message: one entry a message, whatever month it lies in."""
    found = {}
    for directory, _, names in os.walk(root):
        if "items.jsonl" not in names:
            continue
        with open(os.path.join(directory, "items.jsonl"), encoding="utf-8") as lines:
            for line in lines:
                item = json.dumps(json.loads(line)["item"], sort_keys=True)
                found.setdefault((person, "(properties)"), collections.Counter())[item] += 1
    return found


def mboxes_of(root, person):
    """One mailbox as mboxrd files: a line that begins with >From, however often quoted, has one > too many."""
    found = {}
    for directory, _, names in os.walk(root):
        for name in names:
            if not name.endswith(".mbox"):
                continue
            path = os.path.join(directory, name)
            folder = true_names(os.path.relpath(path, root)[: -len(".mbox")].replace(os.sep, "/"))
            counted = found.setdefault((person, folder), collections.Counter())
            for message in messages_of(path):
                counted[digest(re.sub(rb"(?m)^>(>*From )", rb"\1", message))] += 1
    return found


def main():
    tree, person, form, root = sys.argv[1:]
    if form == "copies":
        expected, found = restored(tree, True), restored(root, True)
    else:
        expected = expected_of(tree, person, ended=form == "mbox")
    if form == "restored":
        found = restored(root)
    elif form == "eml":
        found = files_of(root, person)
    elif form == "mbox":
        found = mboxes_of(root, person)
    messages, equal, missing, surplus = 0, 0, [], []
    for place in sorted(set(expected) | set(found)):
        wanted = expected.get(place, collections.Counter())
        there = found.get(place, collections.Counter())
        if place[1] != "(properties)":
            messages += sum(wanted.values())
            equal += sum((wanted & there).values())
        missing += [f"{place[0]}:{place[1]} {one}" for one in (wanted - there).elements()]
        surplus += [f"{place[0]}:{place[1]} {one}" for one in (there - wanted).elements()]
    print(
        json.dumps(
            {
                "expected": messages,
                "equal": equal,
                "missing": missing[:NAMED],
                "surplus": surplus[:NAMED],
                "folders_missing": [":".join(place) for place in sorted(set(expected) - set(found))],
            }
        )
    )


main()
