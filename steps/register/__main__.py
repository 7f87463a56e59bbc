"""The register worker: `python -m steps.register --queue-url … --pipeline-name …`.

It runs until SIGTERM or SIGINT. mlflow takes 4 s to import, so a thread imports it during the first
poll, and no callback waits for it. A signal ends a poll at once. During an attempt, the current
effect is finished and the message is given back to the queue.

Exit codes: 0 after a signal · 1 the start was refused · 2 usage · 75 it cannot work: no credentials
that AWS accepts, no queue or no right, for `--exit-after-seconds`. After 1 and 75 a supervisor
starts it again.
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
from steps.governance.logs import configure, worker_name
from steps.register.arguments import Arguments, parse
from steps.register.life.health import served
from steps.register.life.vital_signs import VitalSigns

if TYPE_CHECKING:
    from steps.register.life.standstill import Standstill
    from steps.register.worker import Worker

log = logging.getLogger("steps.register")

_PAUSE_SECONDS = 5.0  # after a failed poll


class _SignalWhileWaiting(BaseException):
    """A signal came while the worker waited for a message."""


class Signals:
    """The handler of SIGTERM and SIGINT: it sets `stop` and ends a wait for a message."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._waiting = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A block that a signal may interrupt, since no effect is in progress."""
        self._waiting = True
        try:
            if self.stop.is_set():
                raise _SignalWhileWaiting
            yield
        finally:
            self._waiting = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.stop.set()
        if self._waiting:
            raise _SignalWhileWaiting


def main(argv: list[str]) -> int:
    """Answer callbacks until a signal comes, and return the exit code."""
    try:
        configure("register", job=worker_name())
        arguments = parse(argv)
        signs, signals = VitalSigns(), Signals()
        with served(arguments.health_address, signs):
            _work(arguments, signs, signals)
    except _SignalWhileWaiting:
        return 0
    except GovernanceError as error:
        log.error("%s", error)  # noqa: TRY400 - our own message is enough
        return error.exit_code
    log.info("stopped")
    return 0


def _work(arguments: Arguments, signs: VitalSigns, signals: Signals) -> None:
    from steps.register.life.heartbeat import beating, heartbeat_of
    from steps.register.life.standstill import Standstill
    from steps.register.model_registry.mlflow_import import import_mlflow
    from steps.register.worker import Worker

    with signals.waiting():  # for a workspace that does not answer yet
        worker = Worker(arguments, signals.stop)
    signs.polled()  # it has read the queue's attributes
    threading.Thread(target=import_mlflow, daemon=True).start()
    log.info("waiting for callbacks on %s", arguments.queue_url)
    standstill = Standstill(arguments.exit_after_seconds)
    with beating(signs, heartbeat_of(arguments)):
        while not signals.stop.is_set():
            _serve_one(worker, signals, signs, standstill)


def _serve_one(
    worker: "Worker", signals: Signals, signs: VitalSigns, standstill: "Standstill"
) -> None:
    from steps.register.model_registry.mlflow_import import keep_imports

    delivery = None
    try:
        with signals.waiting():
            delivery = worker.queue.receive()
        signs.polled()
        if delivery is not None:
            with signs.working(delivery.body):
                worker.handle(delivery)
            keep_imports()
        standstill.worked()
    except _SignalWhileWaiting:
        return
    except GovernanceError as error:
        log.warning("%s", error)
        standstill.failed(error)
        signals.stop.wait(_PAUSE_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
