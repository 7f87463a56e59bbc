"""A real HTTP server for a test, on a free port of the loopback.

class Store(Handler):
    def do_GET(self) -> None:
        self.answer(200, b"…", {"ETag": "e"})

with served(Store) as origin:      # http://127.0.0.1:<port>
    ...
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_NOTHING: Mapping[str, str] = {}


class Handler(BaseHTTPRequestHandler):
    """It keeps connections, as the services do, and logs nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes, 40 ms apart with it

    def body(self) -> bytes:
        """Return the request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] = _NOTHING) -> None:
        """Send a whole answer; `headers` may state another length than the body has."""
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_json(
        self, status: int, document: Any, headers: Mapping[str, str] = _NOTHING
    ) -> None:
        """Send a document."""
        stated = {"Content-Type": "application/json"} | dict(headers)
        self.answer(status, json.dumps(document).encode(), stated)

    def drop(self) -> None:
        """Close the connection without an answer."""
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve while the block runs, and yield the origin.

    No thread is waited for that still has a client's kept connection.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
