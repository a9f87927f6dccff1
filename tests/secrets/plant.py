"""Holds secrets in its memory, written in the ways in which programs write them.

Standard input: a JSON object of names and hexadecimal numbers. What is made of them is also written into
the file that the only argument names. Encoders are Python's own, so that the search is not tried on what
it made itself.
"""

import base64
import json
import os
import signal
import sys
import textwrap

kept = []
for name, number in json.load(sys.stdin).items():
    raw = bytes.fromhex(number)
    kept.append(raw)
    kept.append(int.from_bytes(raw, "big").to_bytes(len(raw), "little"))
    # As a part of something longer: each of the places that it can have in a group of three.
    for before in range(3):
        longer = os.urandom(before + 33) + raw + os.urandom(40)
        kept.append("\n".join(textwrap.wrap(base64.b64encode(longer).decode(), 64)).encode())
        kept.append(base64.urlsafe_b64encode(longer))
    kept.append(raw.hex().encode())
    kept.append(raw.hex().upper().encode())
    kept.append(json.dumps(list(raw), separators=(",", ":")).encode())
    kept.append(json.dumps(list(raw)).encode())
with open(sys.argv[1], "wb") as file:
    file.write(b"\n".join(kept))
print("planted", flush=True)
signal.pause()
