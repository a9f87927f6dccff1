"""One certificate, two assertions: the one that our signer makes, and the one that `msal` makes.

Both are sent to the lab, both are taken, and they say the same.
"""

import base64
import json
import pathlib
import uuid

import msal
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from world import Report, World, equal, holds

SCOPE = "https://graph.microsoft.com/.default"
# What changes from one assertion to the next.
FRESH = {"jti", "exp", "iat", "nbf"}

world = World.read()
report = Report()


class Recorder(requests.Session):
    """msal's own HTTP client, which keeps what was posted."""

    def __init__(self):
        super().__init__()
        self.verify = world.ca
        self.posted = []

    def post(self, url, data=None, **more):
        self.posted.append((url, data))
        return super().post(url, data=data, **more)


def part(assertion, number):
    text = assertion.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def msals():
    """The assertion that msal sends, given the key as administrators have it: a PFX file."""
    key = serialization.load_der_private_key(base64.b64decode(world.key), None)
    certificate = x509.load_der_x509_certificate(base64.b64decode(world.certificate))
    pfx = pathlib.Path(world.directory) / "reader.pfx"
    pfx.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"reader", key, certificate, None, serialization.NoEncryption()
        )
    )
    recorder = Recorder()
    application = msal.ConfidentialClientApplication(
        world.client_id,
        authority=f"{world.authority}/{world.tenant}",
        client_credential={"private_key_pfx_path": str(pfx)},
        instance_discovery=False,
        http_client=recorder,
    )
    pfx.unlink()
    answer = application.acquire_token_for_client(scopes=[SCOPE])
    holds("access_token" in answer, answer)
    (url, data) = recorder.posted[-1]
    equal(url, world.token_endpoint, "the token endpoint")
    assertion = data["client_assertion"]
    return assertion.decode() if isinstance(assertion, bytes) else assertion


def ours():
    answer = requests.post(
        world.token_endpoint,
        data={
            "grant_type": "client_credentials",
            "client_id": world.client_id,
            "scope": SCOPE,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": world.ours,
        },
        verify=world.ca,
        timeout=30,
    )
    equal(answer.status_code, 200, answer.text)
    holds("access_token" in answer.json(), answer.text)
    return world.ours


def side_by_side():
    mine, theirs = ours(), msals()
    for number, name in enumerate(["header", "claims"]):
        one, other = part(mine, number), part(theirs, number)
        report.did(f"{name} side by side", ours=one, msal=other)
        if name == "header":
            # msal leaves the padding on, which base64url of a JWT has not (RFC 7515, section 2).
            equal(other["x5t#S256"], one["x5t#S256"] + "=", "the thumbprint")
            other["x5t#S256"] = other["x5t#S256"].rstrip("=")
        else:
            # Microsoft's page on certificate credentials has it, msal does not send it.
            holds("nbf" not in other and one["nbf"] == one["iat"], "nbf")
            other["nbf"] = other["iat"]
            for claims in (one, other):
                uuid.UUID(claims["jti"])
                holds(0 < claims["exp"] - claims["nbf"] <= 600, "it is good for ten minutes at most")
            holds(one["jti"] != other["jti"], "each has a name of its own")
            holds(abs(one["iat"] - other["iat"]) < 120, "both were made just now")
        equal(sorted(one), sorted(other), f"names of the {name}")
        same = {key: value for key, value in one.items() if key not in FRESH}
        equal(same, {key: value for key, value in other.items() if key not in FRESH}, name)


def a_word_more_or_less_is_refused():
    """That the lab takes both is worth something only if it does not take anything."""
    head, claims, signature = world.ours.split(".")
    changed = part(world.ours, 1) | {"sub": str(uuid.uuid4())}
    text = base64.urlsafe_b64encode(json.dumps(changed).encode()).decode().rstrip("=")
    answer = requests.post(
        world.token_endpoint,
        data={
            "grant_type": "client_credentials",
            "client_id": world.client_id,
            "scope": SCOPE,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": f"{head}.{text}.{signature}",
        },
        verify=world.ca,
        timeout=30,
    )
    equal(answer.status_code, 401, answer.text)


for step in [side_by_side, a_word_more_or_less_is_refused]:
    try:
        step()
        report.did(step.__name__)
    except Exception as error:  # pylint: disable=broad-except
        report.fail(step.__name__, error)
report.end()
