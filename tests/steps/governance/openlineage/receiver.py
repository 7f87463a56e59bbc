"""A real HTTP server that receives run events and answers as a test wants."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.http_server import Handler, served


@dataclass
class Receiver:
    """What was received: path, headers and body of each POST. `status` is the answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    trickle_seconds: float = 0.0  # between the bytes of the answer's header
    body: bytes = b"{}"
    url: str = ""
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def bodies(self) -> list[bytes]:
        """The bodies in the order in which they came."""
        return [body for _, _, body in self.received]


class _Server(Handler):
    receiver: Receiver  # set in a subclass for each server

    def do_POST(self) -> None:
        receiver, body = self.receiver, self.body()
        receiver.received.append((self.path, dict(self.headers), body))
        if receiver.trickle_seconds:
            return self._trickle()
        return self.answer(receiver.status, receiver.body, receiver.headers)

    def _trickle(self) -> None:
        """Each byte comes before a socket's time-out, and the answer never ends."""
        try:
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(self.receiver.trickle_seconds)
        except OSError:
            self.drop()


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """Serve on a free port of the loopback."""
    with served(type("Server", (_Server,), {"receiver": receiver})) as origin:
        receiver.url = f"{origin}/api/v1/lineage"
        yield receiver
