"""An HTTP server with scripted answers: one per request, the last one for all further requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.http_server import Handler, served


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


class _Server(Handler):
    state: Troubled  # set in a subclass for each server

    def do_GET(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        state = self.state
        self.body()
        state.asked.append(f"{self.command} {self.path.partition('?')[0]}")
        state.tokens.append(self.headers.get("authorization", ""))
        if state.answers is not None:
            answer = next(state.answers)
        else:
            answer = state.script.pop(0) if len(state.script) > 1 else state.script[0]
        if answer.status == 0:
            return self.drop()
        return self.answer(
            answer.status, answer.body.encode(errors="surrogateescape"), answer.headers
        )


@contextmanager
def serving() -> Iterator[Troubled]:
    """The server, and its end."""
    state = Troubled()
    with served(type("Server", (_Server,), {"state": state})) as state.host:
        yield state
