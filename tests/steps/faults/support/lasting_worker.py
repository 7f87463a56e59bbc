"""A register worker that lives through an outage of hours within seconds.

    work_through(argv, passed)      # until its message is deleted

Time moves only when the worker pauses. The pauses are those of each call, botocore's too, of a
message that is given back, after a failed poll, and before a supervisor starts the worker again.
The file `passed` holds the seconds, and the proxies read it: `Hours(passed).passed`.
"""

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from botocore.retries.standard import ExponentialBackoff

from steps.governance.errors import GovernanceError
from steps.governance.unity_catalog import retrying
from steps.register.arguments import Arguments, parse
from steps.register.delivery import queue
from steps.register.delivery.fate import Fate
from steps.register.worker import Worker

_POLL_SECONDS = 1
_RESTART_SECONDS = 30.0  # a supervisor's pause
# `python -m steps.register` pauses for 5 s. Eight hours would be thousands of equal polls.
_REFUSED_POLL_SECONDS = 60.0


@dataclass(frozen=True)
class Hours:
    """The time since the begin, in a file that several processes read."""

    file: Path

    @property
    def passed(self) -> float:
        """The seconds."""
        return float(self.file.read_text())

    @property
    def now(self) -> datetime:
        """The date and time."""
        return datetime.now(UTC) + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        new = self.file.with_suffix(".new")
        new.write_text(str(self.passed + seconds))
        new.replace(self.file)


def work_through(argv: list[str], passed: Path) -> None:
    """Handle messages until one is deleted."""
    hours = Hours(passed)
    # Every clock of the process, by the defaults of its fields.
    clock = (lambda: hours.passed, lambda: hours.now, hours.sleep, lambda: 1.0)
    retrying.Clock.__init__.__defaults__ = clock  # type: ignore[misc]
    _give_back_at_once(hours)
    _let_botocore_pause(hours)
    queue._POLL_SECONDS = _POLL_SECONDS
    arguments = parse(argv)
    worker = _started(arguments, hours)
    worker.patience = replace(worker.patience, now=lambda: hours.now)
    while _served_one(worker, hours, arguments) is not Fate.DELETE:
        pass


def _started(arguments: Arguments, hours: Hours) -> Worker:
    while True:
        try:
            return Worker(arguments, threading.Event())
        except GovernanceError:
            hours.sleep(_RESTART_SECONDS)


def _served_one(worker: Worker, hours: Hours, arguments: Arguments) -> Fate | None:
    try:
        delivery = worker.queue.receive()
        fate = worker.handle(delivery) if delivery else None
    except GovernanceError:
        hours.sleep(_REFUSED_POLL_SECONDS)
        return None
    if fate is Fate.LEAVE:
        hours.sleep(arguments.visibility_seconds)
    return fate


def _let_botocore_pause(hours: Hours) -> None:
    plain = ExponentialBackoff.delay_amount

    def delay_amount(self: ExponentialBackoff, context: object) -> float:
        hours.sleep(plain(self, context))
        return 0.0

    ExponentialBackoff.delay_amount = delay_amount


def _give_back_at_once(hours: Hours) -> None:
    plain = queue.Queue.give_back

    def give_back(self: queue.Queue, delivery: queue.Delivery, *, after_seconds: int) -> None:
        plain(self, delivery, after_seconds=0)
        hours.sleep(after_seconds)

    queue.Queue.give_back = give_back  # type: ignore[method-assign]
