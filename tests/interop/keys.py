"""Makes key pairs with self-signed certificates: `keys.py DIRECTORY NAME…`; `expired` has run out.

Prints where they are, and the SHA-1 thumbprints, as one line of JSON.
"""

import datetime
import json
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

DAY = datetime.timedelta(days=1)


def make(directory, name):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"interop {name}")])
    now = datetime.datetime.now(datetime.timezone.utc)
    end = now - DAY if name == "expired" else now + 30 * DAY
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 10 * DAY)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    files = {
        "key": key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        "certificate": certificate.public_bytes(pem),
    }
    made = {"sha1": certificate.fingerprint(hashes.SHA1()).hex()}
    for kind, content in files.items():
        file = directory / f"{name}.{kind}.pem"
        file.write_bytes(content)
        made[kind] = str(file)
    return made


directory = pathlib.Path(sys.argv[1])
print(json.dumps({name: make(directory, name) for name in sys.argv[2:]}))
