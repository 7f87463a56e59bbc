"""An S3 that sends the first answers cut short, and then whole ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.http_server import Handler, served


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


class _Server(Handler):
    store: CutStore  # set in a subclass for each server

    def do_GET(self) -> None:
        store = self.store
        store.asked += 1
        status = store.refuses_while()
        if status is not None:
            return self.answer(status, headers={"ETag": "e"})
        sent = store.content[: store.cuts.pop(0)] if store.cuts else store.content
        length = len(sent) if store.lying else len(store.content)
        # Without the last one the client may send its next request while this connection closes.
        own = {"ETag": "e", "Content-Length": str(length), "Connection": "close"}
        return self.answer(200, sent, store.headers | own)

    def do_PUT(self) -> None:
        self.body()
        self.answer(self.store.refuses_while() or 200, headers={"ETag": "e"})


@contextmanager
def cutting(content: bytes) -> Iterator[CutStore]:
    """The server of one object, and its end."""
    store = CutStore(content)
    with served(type("Server", (_Server,), {"store": store})) as store.endpoint:
        yield store
