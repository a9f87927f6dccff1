"""Azure CLI as far as our scripts use it, talking to the lab: what is written for people to run is run.

It shares no code with Mailkeep and refuses every command and option that it does not know. FAKE_AZ names a
file with {"graph", "token", "ca", "tenant", "user", "log"}; each call is appended to the log, one JSON array a line.
"""

import base64
import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

with open(os.environ["FAKE_AZ"], encoding="utf-8") as file:
    SETTINGS = json.load(file)
TRUST = ssl.create_default_context(cafile=SETTINGS["ca"])


def fail(text):
    sys.exit(f"az: {text}")


def graph(method, url, body=None, headers=None):
    """One request; its answer, or the end of the program."""
    address = urllib.parse.quote(url, safe=":/?&=$()',%@")
    request = urllib.request.Request(address, method=method)
    request.add_header("authorization", f"Bearer {SETTINGS['token']}")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    data = body.encode() if body is not None else None
    try:
        with urllib.request.urlopen(request, data=data, context=TRUST) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        fail(f"{method} {url}: {error.code} {error.read().decode()}")
    return json.loads(text) if text else None


def below(path):
    return f"{SETTINGS['graph']}/{path}"


def listed(collection, condition):
    return graph("GET", below(f"{collection}?$filter={condition}"))["value"]


def by_client_id(collection, client_id, select=""):
    return graph("GET", below(f"{collection}(appId='{client_id}')") + select)


def query(value, text):
    """The part of JMESPath that is used: names, `[]`, `[?name=='text']` and `[name,name]`."""
    parts = re.findall(r"\[\?[A-Za-z]+=='[^']*'\]|\[\]|\[[A-Za-z,]+\]|[A-Za-z]+|\.|.", text)
    projected = False
    for part in parts:
        if part == ".":
            continue
        found = re.fullmatch(r"\[\?([A-Za-z]+)=='([^']*)'\]", part)
        if found:
            value = [one for one in value or [] if one.get(found[1]) == found[2]]
            projected = True
        elif part == "[]":
            inner = value or []
            value = [one for each in inner for one in (each if isinstance(each, list) else [each])]
            projected = True
        elif re.fullmatch(r"\[[A-Za-z,]+\]", part) and projected:
            value = [[one.get(name) for name in part[1:-1].split(",")] for one in value]
        elif re.fullmatch(r"[A-Za-z]+", part):
            if projected:
                value = [one[part] for one in value if one.get(part) is not None]
            else:
                value = (value or {}).get(part)
        else:
            fail(f"query {text}")
    return value


def options(words, known, flags=()):
    found = {}
    words = list(words)
    while words:
        name = words.pop(0)
        if name in flags:
            found[name] = True
        elif name in known and words:
            found[name] = words.pop(0)
        else:
            fail(f"unknown option {name}")
    return found


def content(text):
    if text is not None and text.startswith("@"):
        with open(text[1:], encoding="utf-8") as file:
            return file.read()
    return text


def add_certificate(client_id, pem):
    der = "".join(line for line in pem.splitlines() if not line.startswith("-----"))
    base64.b64decode(der, validate=True)
    there = by_client_id("applications", client_id, "?$select=id,keyCredentials")
    kept = [{"keyId": key["keyId"]} for key in there["keyCredentials"]]
    new = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": der}
    body = json.dumps({"keyCredentials": kept + [new]})
    graph("PATCH", below(f"applications/{there['id']}"), body, {"content-type": "application/json"})


def run(words):
    shown = ("--query", "--output")
    match words:
        case ["account", "show", *rest]:
            given = options(rest, shown)
            value = {"tenantId": SETTINGS["tenant"], "user": {"type": "user", "name": SETTINGS["user"]}}
        case ["ad", "signed-in-user", "show", *rest]:
            given = options(rest, shown)
            value = graph("GET", below(f"users/{SETTINGS['user']}"))
        case ["ad", ("app" | "sp") as kind, "list", *rest]:
            given = options(rest, (*shown, "--filter"))
            value = listed("applications" if kind == "app" else "servicePrincipals", given["--filter"])
        case ["ad", ("app" | "sp") as kind, "show", *rest]:
            given = options(rest, (*shown, "--id"))
            value = by_client_id("applications" if kind == "app" else "servicePrincipals", given["--id"])
        case ["ad", "sp", "create", *rest]:
            given = options(rest, (*shown, "--id"))
            body = json.dumps({"appId": given["--id"]})
            value = graph("POST", below("servicePrincipals"), body, {"content-type": "application/json"})
        case ["ad", "app", "credential", "list", *rest]:
            given = options(rest, (*shown, "--id"), ("--cert",))
            select = "?$select=keyCredentials"
            value = by_client_id("applications", given["--id"], select)["keyCredentials"]
        case ["ad", "app", "credential", "reset", *rest]:
            given = options(rest, (*shown, "--id", "--cert"), ("--append",))
            if not given.get("--append"):
                fail("that would replace all credentials")
            value = add_certificate(given["--id"], content(given["--cert"]))
        case ["rest", *rest]:
            given = options(rest, (*shown, "--method", "--url", "--headers", "--body"))
            headers = dict([given["--headers"].split("=", 1)]) if "--headers" in given else {}
            value = graph(given["--method"], given["--url"], content(given.get("--body")), headers)
        case _:
            fail(f"unknown command {words}")
    if "--query" in given:
        value = query(value, given["--query"])
    match given.get("--output", "json"):
        case "none":
            pass
        case "tsv":
            for line in value if isinstance(value, list) else [value]:
                if line is not None:
                    print(*(line if isinstance(line, list) else [line]), sep="\t")
        case "json":
            print(json.dumps(value))
        case other:
            fail(f"unknown output {other}")


with open(SETTINGS["log"], "a", encoding="utf-8") as log:
    log.write(json.dumps(sys.argv[1:]) + "\n")
run(sys.argv[1:])
