"""The supervisor starts its worker again with a new session, after growing pauses, until it stops.

The workers are tiny programs; `tests/journey/test_supervised.py` has the real one.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.local.supervisor import Supervisor

ENDS = "import os, sys; print(os.environ.get('SESSION', 'first'), flush=True); sys.exit({code})"


class Stop(threading.Event):
    """Ends the supervisor after so many pauses, and keeps their seconds. It does not wait."""

    def __init__(self, pauses: int) -> None:
        super().__init__()
        self.pauses, self._most = [0.0][:0], pauses

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        if timeout < 1:  # a look at the worker, not a pause
            return super().wait(0.01)
        self.pauses.append(timeout)
        if len(self.pauses) == self._most:
            self.set()
        return self.is_set()


def supervised(
    code: str, stop: Stop, *, steady: float = 60, fails: bool = False
) -> tuple[int, list[str]]:
    """Run the supervisor; its exit code and the sessions that were lent."""
    lent: list[str] = []

    def lend() -> Mapping[str, str]:
        lent.append(f"session {len(lent) + 1}")
        if fails:
            raise PipelineError("the stand-in does not answer")
        return {"SESSION": lent[-1]}

    command = [sys.executable, "-c", code]
    return Supervisor(command, lend, stop, steady=steady).run(), lent


def test_it_starts_again_with_new_sessions_after_growing_pauses(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stop = Stop(pauses=8)
    code, lent = supervised(ENDS.format(code=75), stop)
    assert code == 75
    assert stop.pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    shown = capfd.readouterr()
    assert shown.out.splitlines() == ["first", *lent]
    assert "supervisor the worker ended with 75; another one starts in 32 s" in shown.err


def test_a_worker_that_lived_long_begins_the_pauses_again() -> None:
    stop = Stop(pauses=3)
    supervised(ENDS.format(code=1), stop, steady=0)
    assert stop.pauses == [1, 1, 1]


@pytest.mark.parametrize("code", [0, 2])
def test_a_stopped_or_misused_worker_is_not_started_again(code: int) -> None:
    stop = Stop(pauses=1)
    assert supervised(ENDS.format(code=code), stop) == (code, [])


def test_a_killed_worker_is_started_again() -> None:
    stop = Stop(pauses=2)
    code, lent = supervised("import os; os.kill(os.getpid(), 9)", stop)
    assert (code, lent) == (-signal.SIGKILL, ["session 1"])


def test_without_a_new_session_the_worker_is_started_all_the_more(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stop = Stop(pauses=2)
    supervised(ENDS.format(code=75), stop, fails=True)
    shown = capfd.readouterr()
    assert shown.out.splitlines() == ["first", "first"]
    assert "no new session, so the worker gets the old one: the stand-in" in shown.err


def test_sigterm_ends_the_worker_first(tmp_path: Path) -> None:
    orderly = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('undone', flush=True), sys.exit(0)))\n"
        "print('up', flush=True); time.sleep(60)"
    )
    words = ["-m", "pipeline.local.supervisor", "--state", str(tmp_path), "--endpoint", "http://x"]
    with subprocess.Popen(
        [sys.executable, *words, "--", sys.executable, "-c", orderly],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "undone\n"
    assert process.returncode == 0
