"""Deliver messages to a worker in this process, and read what became of them."""

import time
from dataclasses import replace
from typing import Any

import pytest

from steps.governance.errors import Unavailable
from steps.register.worker import Fate, Worker
from tests.steps.register.support.executions import Execution
from tests.steps.register.support.register_environment import MAX_RECEIVES

_WAIT_SECONDS = 60  # for a message; the machine may be busy


def deliver(worker: Worker, **changed: Any) -> Fate:
    """Wait for one message and handle it. `changed` replaces fields of the delivery."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while (delivery := worker.queue.receive()) is None:
        assert time.monotonic() < deadline, "no message came"
    return worker.handle(replace(delivery, **changed))


def deliver_for_the_last_time(worker: Worker) -> Fate:
    """Deliver the message as if it were received for the last time."""
    return deliver(worker, attempt=MAX_RECEIVES)


def deliver_until_deleted(worker: Worker, most: int) -> int:
    """Return how many deliveries it took."""
    for number in range(1, most + 1):
        if deliver(worker) is Fate.DELETE:
            return number
    raise AssertionError(f"not deleted after {most} deliveries")


def failure_reason(execution: Execution) -> str:
    """Return the reason of the step's one answer, a Failure."""
    (answer,) = execution.answers()
    assert answer["status"] == "Failed"
    return str(answer["FailureReason"])


def refused_with(execution: Execution) -> str:
    """Return the reason of the step's Failure; check that no version is READY."""
    assert not [v for v in execution.versions() if str(v.status).endswith("READY")]
    return failure_reason(execution)


def alerts(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log lines that begin with ALERT."""
    lines = [record.getMessage() for record in caplog.records]
    return [line for line in lines if line.startswith("ALERT")]


def raising_unavailable(*_: object, **__: object) -> None:
    """Stand in for a call whose service does not answer."""
    raise Unavailable("no answer")
