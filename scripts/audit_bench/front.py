"""A server before ministack that sends large files for next to no CPU time.

    with front(url, {"/artifacts/base/a.safetensors": path}) as url:

S3 is another machine in the field. Here ministack would take one of two cores to send the bytes
whose hashing is measured, so the kernel sends them (`sendfile`). Every other call is passed on.
"""

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

_OF_A_CONNECTION = {"connection", "transfer-encoding", "content-length"}


@contextmanager
def front(url: str, files: Mapping[str, Path]) -> Iterator[str]:
    """Serve these paths from files and the others from `url`, and yield the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(url, files))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(url: str, files: Mapping[str, Path]) -> type[BaseHTTPRequestHandler]:
    class Handler(_Passing):
        upstream = urlsplit(url)

        def do_GET(self) -> None:
            file = files.get(self.path.partition("?")[0])
            if file is None:
                self.pass_on()
            else:
                self._send(file)

        def _send(self, file: Path) -> None:
            self.send_response_only(200)
            self.send_header("ETag", '"of-a-file"')
            self.send_header("Content-Length", str(file.stat().st_size))
            self.end_headers()
            with file.open("rb") as content:
                self.connection.sendfile(content)

    return Handler


class _Passing(BaseHTTPRequestHandler):
    """Passes a call on to the address `upstream`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes
    upstream: SplitResult

    def pass_on(self) -> None:
        """Ask upstream, and answer as it does."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        host, port = str(self.upstream.hostname), self.upstream.port
        connection = http.client.HTTPConnection(host, port, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_HEAD = pass_on

    def log_message(self, *_: object) -> None:
        """Log nothing."""
