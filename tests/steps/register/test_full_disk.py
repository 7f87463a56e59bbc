"""A worker whose disk is full gives the message back with that reason, and registers later."""

import errno
import os
from typing import NoReturn

import pytest

from steps.register.attempt import Attempt
from steps.register.worker import Fate, Worker
from tests.steps.register.support.deliveries import deliver
from tests.steps.register.support.executions import Execution

pytestmark = pytest.mark.environment


def test_the_step_waits_with_the_reason_until_there_is_room(
    worker: Worker,
    execution: Execution,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fills(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    execution.send()
    with monkeypatch.context() as patched:
        patched.setattr(Attempt, "_register", fills)
        assert deliver(worker) is Fate.GIVE_BACK
    (line,) = [text for text in caplog.messages if "not registered yet" in text]
    assert "this job's disk is full" in line
    assert "bytes are free in" in line
    assert "give the register worker a larger disk" in line
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()
