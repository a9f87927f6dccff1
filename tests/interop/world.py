"""What the scripts of this directory have in common: where the lab is, and how to say what was seen.

A script gets the world as JSON on standard input and prints one line of JSON for each thing that it
did; the last line is a summary. It ends with another code than 0 when anything was not as it should
be. Only other people's clients talk to Entra and Graph here; the lab's own administrative interface is
asked with Python's standard library.
"""

import json
import ssl
import sys
import traceback
import urllib.request


class World:
    """A running lab, and an application that is registered there."""

    def __init__(self, description):
        self.__dict__.update(description)
        self._trust = ssl.create_default_context(cafile=self.ca)

    @classmethod
    def read(cls):
        return cls(json.load(sys.stdin))

    def admin(self, method, what, body=None):
        """Asks `/_lab/WHAT`."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.admin_token}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self.admin_url}/{what}", data, headers, method=method)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._trust)
        )
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)

    def requests(self, operation):
        """How many requests for an operation the lab has counted."""
        counted = self.admin("GET", "counters")["operations"].get(operation, {})
        return counted.get("requests", 0)


class Report:
    """What was done, line by line."""

    def __init__(self):
        self.done = []
        self.failed = []

    def did(self, what, **seen):
        self.done.append(what)
        print(json.dumps({"did": what, **seen}), flush=True)

    def fail(self, what, error):
        self.failed.append(what)
        text = "".join(traceback.format_exception(error))
        print(f"{what}\n{text}", file=sys.stderr, flush=True)

    def end(self, **more):
        print(json.dumps({"done": self.done, "failed": self.failed, **more}), flush=True)
        sys.exit(1 if self.failed else 0)


def equal(found, expected, what=""):
    """Two values that have to be the same."""
    if found != expected:
        raise AssertionError(f"{what}: {found!r} instead of {expected!r}")


def holds(condition, what):
    """Something that has to be so."""
    if not condition:
        raise AssertionError(what)
