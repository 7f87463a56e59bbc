"""An S3 that sends the first answers cut short, and then whole ones."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class CutStore:
    """`cuts`: for each coming answer the bytes that are sent; with `lying` its length is theirs."""

    content: bytes = b""
    endpoint: str = ""
    lying: bool = False
    cuts: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    refuses_while: Callable[[], int | None] = lambda: None


def _handler(store: CutStore) -> type[BaseHTTPRequestHandler]:
    """Return the request handler of one server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            store.asked += 1
            status = store.refuses_while()
            if status is not None:
                return self._empty(status)
            sent = store.content[: store.cuts.pop(0)] if store.cuts else store.content
            length = len(sent) if store.lying else len(store.content)
            self.send_response(200)
            own = {"ETag": "e", "Content-Length": str(length)}
            for name, value in (store.headers | own).items():
                self.send_header(name, value)
            # Else the client may send its next request on the connection while it is being closed.
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(sent)
            return None

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self._empty(store.refuses_while() or 200)

        def _empty(self, status: int) -> None:
            self.send_response(status)
            self.send_header("ETag", "e")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def cutting(content: bytes) -> Iterator[CutStore]:
    """The server of one object, and its end."""
    store = CutStore(content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(store))
    server.daemon_threads = True
    store.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
