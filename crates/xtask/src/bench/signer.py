"""Asks a signer for keys and for signatures, and says how long both took.

usage: signer.py SOCKET KEYS SIGNATURES_OF_EACH, with two connections at a time.
"""

import json
import socket
import struct
import sys
import threading
import time
import uuid

path, keys, signatures = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


class Signer:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)

    def read(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                sys.exit("the signer hung up")
            data += more
        return data

    def ask(self, op, **what):
        request = {"op": op, "job": str(uuid.uuid4()), "function": "reader", **what}
        frame = json.dumps({"v": 1, "caller": "bench", "request": request}).encode()
        self.socket.sendall(struct.pack(">I", len(frame)) + frame)
        (length,) = struct.unpack(">I", self.read(4))
        answer = json.loads(self.read(length))
        if "failed" in json.dumps(answer)[:200].lower():
            sys.exit(f"{op}: {answer}")
        return answer


def at_two(work):
    """Runs work(signer, number) for every number, at two connections; in seconds."""

    def half(begin):
        signer = Signer()
        for number in range(begin, keys, 2):
            work(signer, number)

    threads = [threading.Thread(target=half, args=(begin,)) for begin in (0, 1)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - begin


def bind(signer, number):
    binding = {
        "client_id": str(uuid.uuid4()),
        "token_endpoint": "https://login.example/token",
    }
    signer.ask("bind", tenant=f"s{number}", binding=binding)


def sign(signer, number):
    for _ in range(signatures):
        signer.ask("sign_assertion", tenant=f"s{number}")


made = at_two(lambda signer, number: signer.ask("create_key", tenant=f"s{number}"))
at_two(bind)
signed = at_two(sign)
print(json.dumps({"keys": keys / made, "signatures": keys * signatures / signed}))
