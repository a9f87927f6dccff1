"""`msal` gets tokens by certificate from the lab, keeps them, and is refused in every way that there is."""

import base64
import datetime
import json
import uuid

import msal
import requests
from azure.identity import CertificateCredential
from azure.core.exceptions import ClientAuthenticationError

from world import Report, World, equal, holds

SCOPE = ["https://graph.microsoft.com/.default"]

world = World.read()
report = Report()


def text(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def certificate(name):
    """The credential of one of the world's key pairs, as msal wants it."""
    key = world.keys[name]
    return {"private_key": text(key["key"]), "public_certificate": text(key["certificate"])}


def client(credential=None, client_id=None, tenant=None, **more):
    return msal.ConfidentialClientApplication(
        client_id or world.client_id,
        authority=f"{world.authority}/{tenant or world.tenant}",
        client_credential=credential or certificate("reader"),
        instance_discovery=False,
        verify=world.ca,
        **more,
    )


def token(application, scopes=SCOPE, **more):
    return application.acquire_token_for_client(scopes=scopes, **more)


def claims(access_token):
    part = access_token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def change(client_id, **what):
    world.admin("POST", f"applications/{client_id}", what)


def register(name, key, roles=("Mail.Read",)):
    pem = text(world.keys[key]["certificate"]) if key else ""
    order = {"name": name, "certificate": pem, "roles": list(roles)}
    return world.admin("POST", "register", order)["client_id"]


# --- tokens ---------------------------------------------------------------------------------------


def a_token_by_certificate():
    before = world.requests("token")
    answer = token(client())
    equal(answer.get("token_type"), "Bearer", answer)
    equal(answer["token_source"], "identity_provider")
    holds(3500 < answer["expires_in"] <= 3599, answer["expires_in"])
    holds("refresh_token" not in answer, "there is no refresh token in this grant")
    found = claims(answer["access_token"])
    equal(found["appid"], world.client_id)
    equal(found["tid"], world.tenant)
    equal(sorted(found["roles"]), sorted(world.roles))
    equal(world.requests("token") - before, 1, "token requests")


def a_token_by_domain_name():
    answer = token(client(tenant=world.domain))
    holds("access_token" in answer, answer)


def older_assertions():
    """RS256 and a SHA-1 thumbprint, as msal makes it when it is given one."""
    credential = certificate("reader")
    credential["thumbprint"] = world.keys["reader"]["sha1"]
    del credential["public_certificate"]
    holds("access_token" in token(client(credential)), "RS256 with x5t")


def the_cache_is_used():
    before = world.requests("token")
    cache = msal.SerializableTokenCache()
    application = client(token_cache=cache)
    first = token(application)
    second = token(application)
    equal(second["token_source"], "cache")
    equal(second["access_token"], first["access_token"])
    # What a service keeps between two runs.
    kept = cache.serialize()
    again = msal.SerializableTokenCache()
    again.deserialize(kept)
    third = token(client(token_cache=again))
    equal(third["token_source"], "cache")
    equal(world.requests("token") - before, 1, "token requests")


def a_removed_token_is_fetched_again():
    """msal signs one assertion for nine minutes and sends it again and again."""
    application = client()
    first = token(application)
    application.remove_tokens_for_client()
    second = token(application)
    equal(second.get("token_source"), "identity_provider", second)
    holds(first["access_token"] != second["access_token"], "the same token twice")


def an_application_without_rights_gets_a_token_without_roles():
    credential = certificate("reader")
    client_id = register("No rights", "reader", roles=())
    found = claims(token(client(credential, client_id))["access_token"])
    holds("roles" not in found, found)


def azure_identity_gets_a_token():
    """The synchronous credential of azure-identity is msal inside."""
    key = world.keys["reader"]
    pem = (text(key["key"]) + text(key["certificate"])).encode()
    credential = CertificateCredential(
        world.tenant,
        world.client_id,
        certificate_data=pem,
        authority=world.authority,
        disable_instance_discovery=True,
        connection_verify=world.ca,
    )
    found = credential.get_token(SCOPE[0])
    equal(claims(found.token)["appid"], world.client_id)
    stranger = CertificateCredential(
        world.tenant,
        str(uuid.uuid4()),
        certificate_data=pem,
        authority=world.authority,
        disable_instance_discovery=True,
        connection_verify=world.ca,
    )
    try:
        stranger.get_token(SCOPE[0])
    except ClientAuthenticationError as error:
        holds("AADSTS700016" in error.message, error.message)
    else:
        raise AssertionError("an unknown application got a token")


# --- refusals -------------------------------------------------------------------------------------


def refused_by_order(code):
    """A refusal that nothing in the lab leads to: a rule orders it."""

    def provoke():
        rule = {"operation": "token", "code": f"AADSTS{code}", "times": 1}
        world.admin("POST", "faults", [rule])
        try:
            return token(client())
        finally:
            world.admin("DELETE", "faults")

    return provoke


def key_not_found():
    return token(client(certificate("stranger")))


def key_expired():
    """msal's client, whose certificate has run out since it was registered."""
    client_id = register("Expired", "expired")
    return token(client(certificate("expired"), client_id))


def key_does_not_fit():
    """Somebody has the certificate, which is public, and another key."""
    credential = certificate("reader")
    credential["private_key"] = text(world.keys["stranger"]["key"])
    return token(client(credential))


def removed_key():
    client_id = register("Removed", "reader")
    holds("access_token" in token(client(client_id=client_id)), "it had a key")
    change(client_id, remove_key=key_of(client_id))
    return token(client(client_id=client_id))


def key_of(client_id):
    listed = world.admin("GET", "applications")
    return next(one for one in listed if one["client_id"] == client_id)["keys"][0]["key_id"]


def revoked_key():
    client_id = register("Revoked", "reader")
    change(client_id, revoke_key=key_of(client_id))
    return token(client(client_id=client_id))


def blocked_by_conditional_access():
    """A policy that lets nobody in, from wherever."""
    policy = {
        "displayName": "Nobody",
        "state": "enabled",
        "conditions": {
            "clientApplications": {"includeServicePrincipals": ["ServicePrincipalsInMyTenant"]},
            "locations": {"includeLocations": ["All"]},
        },
        "grantControls": {"operator": "and", "builtInControls": ["block"]},
    }
    world.admin("POST", "conditional-access", {"policies": [policy], "locations": []})
    try:
        return token(client())
    finally:
        world.admin("POST", "conditional-access", {"policies": [], "locations": []})


def expired_secret():
    """A secret that Graph gave, after its end: with it, there were tokens before."""
    bearer = {"authorization": f"Bearer {token(client())['access_token']}"}
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    answer = requests.post(
        f"{world.graph}/applications(appId='{world.client_id}')/addPassword",
        json={"passwordCredential": {"displayName": "x", "endDateTime": end.isoformat()}},
        headers=bearer,
        verify=world.ca,
        timeout=30,
    )
    equal(answer.status_code, 200, answer.text)
    given = answer.json()["secretText"]
    holds("access_token" in token(client(given)), "it is good until then")
    world.admin("POST", "clock", {"offset_seconds": 7200})
    try:
        return token(client(given))
    finally:
        world.admin("POST", "clock", {"offset_seconds": 0})


def clock_is_wrong():
    world.admin("POST", "clock", {"offset_seconds": 3600})
    try:
        return token(client())
    finally:
        world.admin("POST", "clock", {"offset_seconds": 0})


def secret():
    return token(client("not-a-secret-that-was-ever-given"))


def no_credential():
    application = msal.ConfidentialClientApplication(
        world.client_id,
        authority=f"{world.authority}/{world.tenant}",
        client_credential=None,
        instance_discovery=False,
        verify=world.ca,
    )
    return token(application)


def no_credential_in_a_users_grant():
    application = msal.ConfidentialClientApplication(
        world.client_id,
        authority=f"{world.authority}/{world.tenant}",
        client_credential=None,
        instance_discovery=False,
        verify=world.ca,
    )
    return application.acquire_token_by_authorization_code(
        "a-code", scopes=["User.Read"], redirect_uri="https://localhost/"
    )


def on_behalf_of_nobody():
    return client().acquire_token_on_behalf_of("e30.e30.e30", SCOPE)


def malformed_assertion():
    return token(client({"client_assertion": "not.a-token"}))


def unknown_application():
    return token(client(client_id=str(uuid.uuid4())))


def disabled_application():
    client_id = register("Disabled", "reader")
    change(client_id, enabled=False)
    return token(client(client_id=client_id))


def scopes_of_two_resources():
    return token(client(), [*SCOPE, "https://outlook.office365.com/.default"])


def unknown_tenant():
    """msal finds out before it asks for a token; the refusal is in what it says."""
    nowhere = str(uuid.uuid4())
    try:
        client(tenant=nowhere)
    except ValueError as error:
        holds("double check your tenant name" in str(error), error)
        body = str(error.__context__).split("Error: ", 1)[1]
        return json.loads(body)
    raise AssertionError("an unknown tenant was taken")


def parameter_missing():
    return token(client(), data={"client_id": None})


# How each refusal comes about, with words of its description.
REFUSALS = [
    (700027, key_not_found, ["The key was not found", "Thumbprint of key used by client"]),
    (700027, key_expired, ["The key used is expired", "Start=", "End="]),
    (700027, key_does_not_fit, ["use of the key to verify the signature failed"]),
    (700027, removed_key, ["The key was not found"]),
    (700024, clock_is_wrong, ["not within its valid time range", "Current time"]),
    (7000214, revoked_key, ["has been revoked"]),
    (1000502, refused_by_order(1000502), []),
    (7000274, refused_by_order(7000274), []),
    (7000222, expired_secret, ["are expired", "aka.ms/NewClientSecret"]),
    (7000215, secret, ["Invalid client secret"]),
    (7000216, no_credential, ["client_assertion"]),
    (7000218, no_credential_in_a_users_grant, ["client_assertion"]),
    (50013, on_behalf_of_nobody, ["Assertion failed signature validation"]),
    (50027, malformed_assertion, ["invalid or malformed"]),
    (700016, unknown_application, ["was not found in the directory"]),
    (700011, refused_by_order(700011), []),
    (70001, disabled_application, ["is disabled"]),
    (70011, scopes_of_two_resources, ["is not valid"]),
    (90002, unknown_tenant, ["not found"]),
    (900144, parameter_missing, ["must contain the following parameter: 'client_id'"]),
    (53003, blocked_by_conditional_access, ["blocked due to Conditional Access policies"]),
]


def refusal(code, provoke, words):
    answer = provoke()
    holds("access_token" not in answer, f"a token in place of {code}")
    equal(answer.get("error_codes"), [code], answer)
    description = answer["error_description"]
    holds(description.startswith(f"AADSTS{code}: "), description)
    for word in [*words, "Trace ID: ", "Correlation ID: ", "Timestamp: "]:
        holds(word in description, f"{word!r} is not in {description!r}")
    # Own claims of the answer, which msal passes on.
    uuid.UUID(answer["trace_id"])
    uuid.UUID(answer["correlation_id"])
    datetime.datetime.fromisoformat(answer["timestamp"])
    holds(answer["error_uri"].endswith(f"/error?code={code}"), answer["error_uri"])
    # The `error` that facts.md has, where it is here and has one.
    for expected in world.refusals.get(str(code), []):
        equal(answer["error"], expected, f"error of {code}")
    # It was only ever this request.
    holds("access_token" in token(client()), "afterwards there are tokens again")
    return answer["error"]


def refused_tokens_are_in_the_log():
    """The sign-in log has every attempt, a refused one with its code."""
    log = world.admin("GET", "logs?kind=signin")
    codes = {entry["status"]["errorCode"] for entry in log}
    seen = {code for code, provoke, _ in REFUSALS if provoke is not unknown_tenant}
    missing = sorted(seen - codes)
    equal(missing, [], "codes that the sign-in log does not have")
    holds(0 in codes, "successes")


for step in [
    a_token_by_certificate,
    a_token_by_domain_name,
    older_assertions,
    the_cache_is_used,
    a_removed_token_is_fetched_again,
    an_application_without_rights_gets_a_token_without_roles,
    azure_identity_gets_a_token,
]:
    try:
        step()
        report.did(step.__name__)
    except Exception as error:  # noqa: BLE001: every step is tried
        report.fail(step.__name__, error)
for code, provoke, words in REFUSALS:
    name = getattr(provoke, "__name__")
    what = f"{code} {name if name != 'provoke' else 'by order'}"
    try:
        report.did(what, error=refusal(code, provoke, words))
    except Exception as error:  # noqa: BLE001
        report.fail(what, error)
try:
    refused_tokens_are_in_the_log()
    report.did("refused_tokens_are_in_the_log")
except Exception as error:  # noqa: BLE001
    report.fail("refused_tokens_are_in_the_log", error)
# Every code that is written down was met.
missing = sorted(set(map(int, world.refusals)) - {code for code, _, _ in REFUSALS})
if missing:
    report.fail(f"never provoked: {missing}", AssertionError(missing))
report.end(version=msal.__version__, refusals=len(REFUSALS))
