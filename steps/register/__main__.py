"""The register worker: `python -m steps.register --queue-url … --pipeline-name …`, until SIGTERM or SIGINT.

While it waits it is ready: mlflow (4 s to import) is loaded beside the first poll, so a callback does not pay for it.
A signal ends the wait at once; during work it lets the effect at hand finish, then the message goes back to the
queue.
"""

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from steps.governance.errors import GovernanceError
from steps.governance.logs import configure
from steps.register.arguments import parse

if TYPE_CHECKING:
    from steps.register.worker import Worker

log = logging.getLogger("steps.register")

_PAUSE_SECONDS = 5.0  # after a failed poll


class _Told(BaseException):
    """A signal came while the worker waited for a message."""


class Signals:
    """SIGTERM and SIGINT: `stop` is set, and a wait ends at once."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._waiting = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Where nothing is under way that a signal could break."""
        self._waiting = True
        try:
            if not self.stop.is_set():
                yield
        finally:
            self._waiting = False

    def _told(self, number: int, frame: FrameType | None) -> None:
        self.stop.set()
        if self._waiting:
            raise _Told


def main(argv: list[str]) -> int:
    """Answer callbacks until told to stop; 0 then, else what went wrong at the start."""
    configure("register")
    try:
        arguments = parse(argv)
        from steps.register.model_registry.mlflow_session import import_mlflow
        from steps.register.worker import Worker

        signals = Signals()
        worker = Worker(arguments, signals.stop)
    except GovernanceError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    threading.Thread(target=import_mlflow, daemon=True).start()
    log.info("waiting for callbacks on %s", arguments.queue_url)
    while not signals.stop.is_set():
        _serve_one(worker, signals)
    log.info("stopped")
    return 0


def _serve_one(worker: "Worker", signals: Signals) -> None:
    delivery = None
    try:
        with signals.waiting():
            delivery = worker.queue.receive()
        if delivery is not None:
            worker.handle(delivery)
    except _Told:
        return
    except GovernanceError as error:
        log.warning("%s", error)
        signals.stop.wait(_PAUSE_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
