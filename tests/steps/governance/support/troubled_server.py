"""An HTTP server with scripted answers: one per request, the last one for all further requests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """One answer. Status 0 closes the connection without any."""

    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass
class Troubled:
    """What it answers, and what it was asked, as "METHOD /path"."""

    host: str = ""
    script: list[Answer] = field(default_factory=list)
    answers: Iterator[Answer] | None = None  # instead of the script
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)


def _handler(state: Troubled) -> type[BaseHTTPRequestHandler]:
    """Return the request handler of one server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_DELETE(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            state.asked.append(f"{self.command} {self.path.partition('?')[0]}")
            state.tokens.append(self.headers.get("authorization", ""))
            if state.answers is not None:
                answer = next(state.answers)
            else:
                answer = state.script.pop(0) if len(state.script) > 1 else state.script[0]
            if answer.status == 0:
                self.close_connection = True
                return
            body = answer.body.encode(errors="surrogateescape")
            self.send_response(answer.status)
            for name, value in (answer.headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def serving() -> Iterator[Troubled]:
    """The server, and its end."""
    state = Troubled()

    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    server.daemon_threads = True
    state.host = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
