"""The health endpoint: `GET /health` answers 200 while the worker works, else 503, with JSON.

    with health.served("127.0.0.1:8080", signs):
        …

It is off unless `--health-address` names an address. It holds no secret, changes nothing, and has
no authentication: the loopback is for a supervisor or a sidecar on the same host.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from steps.governance.errors import UsageError
from steps.register.life.vital_signs import VitalSigns

_PATH = "/health"
_REQUEST_SECONDS = 5.0  # a client that sends nothing does not keep a thread


@contextmanager
def served(address: str | None, signs: VitalSigns) -> Iterator[int]:
    """Serve until the block ends, and yield the port; without an address yield 0.

    Raises:
        UsageError: the address cannot be bound.
    """
    if address is None:
        yield 0
        return
    server = _bound(address, signs)
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _bound(address: str, signs: VitalSigns) -> ThreadingHTTPServer:
    host, _, port = address.rpartition(":")
    try:
        return _Server((host, int(port)), _handler(signs))
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"the health endpoint cannot listen on {address}",
            got=str(error),
            do="choose a free port of this host with --health-address",
        ) from error


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


def _handler(signs: VitalSigns) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_SECONDS
        server_version, sys_version = "register-worker", ""

        def do_GET(self) -> None:
            if self.path != _PATH:
                self.send_error(404)
                return
            fault = signs.fault()
            content = json.dumps(signs.document() | {"fault": fault}).encode()
            self.send_response(200 if fault is None else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing: a probe comes every few seconds."""

    return Handler
