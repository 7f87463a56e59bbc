"""An S3 on loopback that can refuse one part of an upload, as a network failure would.

    with storage(refused_part=2) as bucket:
        data_files.put(data_files.file_system("s3://bucket/t", bucket.options), "part.bin", content)
    bucket.objects          # name -> sha256 of its content; only completed uploads

It is a separate process: delta-rs opens a stream while it holds Python's lock, so a thread of this
process could not answer it.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen


@dataclass
class Bucket:
    """What was stored, and the requests that came, once the block of `storage` has ended."""

    endpoint: str
    objects: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def options(self) -> dict[str, str]:
        """delta-rs's storage options for this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }


@contextmanager
def storage(*, refused_part: int = 0) -> Iterator[Bucket]:
    """Run the server while the block runs.

    The part with the number `refused_part` is answered with 400.
    """
    server = subprocess.Popen(
        [sys.executable, __file__, str(refused_part)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    bucket = Bucket(f"http://127.0.0.1:{server.stdout.readline().strip()}")
    try:
        yield bucket
        with urlopen(f"{bucket.endpoint}/seen", timeout=10) as answer:  # noqa: S310 - loopback
            bucket.objects, bucket.requests = json.loads(answer.read())
    finally:
        server.terminate()
        server.communicate(timeout=10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # as in tests/support/http_server.py
    refused_part = 0
    objects: dict[str, str] = {}  # noqa: RUF012 - one server a process
    parts: dict[int, bytes] = {}  # noqa: RUF012
    requests: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self._answer(200, json.dumps([self.objects, self.requests]))

    def do_HEAD(self) -> None:
        self._answer(404)

    def do_POST(self) -> None:
        self._content()
        path, _, query = self.path.partition("?")
        if query.startswith("uploads"):
            self._answer(
                200,
                "<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                "</InitiateMultipartUploadResult>",
            )
            return
        whole = b"".join(self.parts[number] for number in sorted(self.parts))
        self.objects[path] = hashlib.sha256(whole).hexdigest()
        self._answer(
            200, "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
        )

    def do_PUT(self) -> None:
        content, part = self._content(), re.search(r"partNumber=(\d+)", self.path)
        if part is not None and int(part[1]) == self.refused_part:
            self._answer(400, "<Error><Code>BadDigest</Code></Error>")
            return
        if part is None:
            self.objects[self.path] = hashlib.sha256(content).hexdigest()
        else:
            self.parts[int(part[1])] = content
        self._answer(200)

    def do_DELETE(self) -> None:
        self._answer(204)

    def _content(self) -> bytes:
        self.requests.append(f"{self.command} {self.path}")
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _answer(self, status: int, text: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("ETag", '"e"')
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: what came is in `requests`."""


if __name__ == "__main__":
    _Handler.refused_part = int(sys.argv[1])
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    listening.daemon_threads = True  # the client keeps its connections open
    print(listening.server_address[1], flush=True)  # noqa: T201 - read by `storage`
    listening.serve_forever()
