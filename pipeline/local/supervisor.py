"""Keeps the register worker of the embedded environment running: `python -m
pipeline.local.supervisor --state DIR --endpoint URL -- COMMAND …`.

ECS, systemd or Lambda do this in an account. When the worker ends, it is started again after 1, 2,
4, … 60 s with a new session of its role, so an environment that is kept over night still works:
sessions last 12 h. A worker that was stopped (0) or misused (2) is not started again.

The worker's log is copied to CloudWatch, as Lambda writes it (`worker_log.py`). The first worker
has the session that this process was given, so a start of the environment does not wait for boto3.
SIGTERM and SIGINT end the worker, and then this process.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import PipelineError

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0
_STEADY_SECONDS = 60.0  # a worker that lived so long starts the pauses again
_FINAL = (0, 2)  # stopped · usage
_POLL_SECONDS = 0.5
_LAST_LINES_SECONDS = 5.0  # of the worker's log, at the end

Lend = Callable[[], Mapping[str, str]]  # the variables of a new session; raises PipelineError


class Supervisor:
    """Starts a command again and again until `stop` is set."""

    def __init__(
        self, command: Sequence[str], lend: Lend, stop: threading.Event, *, steady: float
    ) -> None:
        self._command, self._lend, self._stop, self._steady = list(command), lend, stop, steady
        self._session: Mapping[str, str] = {}  # at first, this process's own variables

    def run(self) -> int:
        """Return the exit code of the last worker."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            code = self._run_once()
            if self._stop.is_set() or code in _FINAL:
                return code
            if time.monotonic() - began >= self._steady:
                pause = _FIRST_PAUSE_SECONDS
            _log(f"the worker ended with {code}; another one starts in {pause:.0f} s")
            if self._stop.wait(pause):
                return code
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            self._renew()

    def _renew(self) -> None:
        try:
            self._session = self._lend()
        except PipelineError as error:
            _log(f"no new session, so the worker gets the old one: {error}")

    def _run_once(self) -> int:
        worker = subprocess.Popen(self._command, env=os.environ | dict(self._session))
        while worker.poll() is None:
            if self._stop.wait(_POLL_SECONDS):
                worker.terminate()
                return worker.wait()
        return worker.returncode


def main(argv: Sequence[str]) -> int:
    """Supervise until a signal comes or the worker ends by itself."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.local.supervisor")
    parser.add_argument("--state", type=Path, required=True, help="the folder of all state")
    parser.add_argument("--endpoint", required=True, help="the URL of the AWS stand-in")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the worker, after --")
    arguments = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def lend() -> Mapping[str, str]:
        return lent(arguments.state, arguments.endpoint)

    log = _followed(arguments.state, lend, stop)
    command = [word for word in arguments.command if word != "--"]
    try:
        return Supervisor(command, lend, stop, steady=_STEADY_SECONDS).run()
    finally:
        stop.set()
        log.join(_LAST_LINES_SECONDS)


def _followed(state: Path, lend: Lend, stop: threading.Event) -> threading.Thread:
    """Start the thread that copies the worker's log to CloudWatch, first with our own session."""
    from pipeline.local.host.state import State
    from pipeline.local.worker_log import WorkerLog

    sessions = iter([dict(os.environ)])
    log = WorkerLog(
        State(state).log("register"), lambda: next(sessions, None) or os.environ | dict(lend())
    )
    thread = threading.Thread(target=log.follow, args=(stop,), daemon=True)
    thread.start()
    return thread


def lent(state: Path, endpoint: str) -> Mapping[str, str]:
    """Return the AWS variables of a new session of the role `register`.

    Raises:
        PipelineError: the stand-in does not answer, or refuses.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from pipeline.local.host.state import State
    from pipeline.local.setup import aws_account

    try:
        return aws_account.root(State(state), endpoint).lend("register")
    except (BotoCoreError, ClientError, OSError) as error:
        raise PipelineError(f"{type(error).__name__}: {error}") from error


def _log(text: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} supervisor {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
