"""A relay for mail (aiosmtpd): prints its port, then each mail that it takes, one JSON object a line.

relay.py MODE CERTIFICATE KEY USER PASSWORD, where MODE is implicit, starttls or plain.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

MODE, CERTIFICATE, KEY, USER, PASSWORD = sys.argv[1:]


class Taker:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.SMTP)
        print(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("sslcontext") is not None,
            "user": session.auth_data and session.auth_data.login.decode(),
            "headers": [[name.lower(), str(value)] for name, value in message.items()],
            "body": message.get_content(),
            "defects": [str(defect) for defect in message.defects],
        }), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, auth_data=data if good else None, handled=False)


async def serve():
    context = None
    if MODE in ("implicit", "starttls"):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE, KEY)
    options = {"hostname": "relay.example"}
    if USER:
        options |= {"authenticator": authenticate, "auth_required": True,
                    "auth_require_tls": MODE == "starttls"}
    if MODE == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Taker(), **options), "127.0.0.1", 0, ssl=context if MODE == "implicit" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve())
