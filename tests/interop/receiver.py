"""A program that wants to be notified: an HTTP server on loopback, in a thread of its own."""

import http.server
import json
import threading
import time
import urllib.parse


class Receiver:
    """Answers the handshake and keeps what it is told."""

    def __init__(self):
        self.handshakes = 0
        self.notifications = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                token = query.get("validationToken")
                if token:
                    receiver.handshakes += 1
                    answer = token[0].encode()
                else:
                    receiver.notifications.extend(json.loads(body)["value"])
                    answer = b""
                self.send_response(200 if token else 202)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/notify"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait(self, condition, seconds=30):
        """Waits for a notification."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for one in self.notifications:
                if condition(one):
                    return one
            time.sleep(0.02)
        raise AssertionError(f"never notified; what came: {self.notifications}")
