"""Processes of the embedded environment: started apart from the terminal, and stopped by pid and
start time.

A pid alone does not identify a process, because the system reuses it.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from pipeline.errors import PipelineError

_STOP_SECONDS = 30.0  # a server that has not ended by then is killed
_POLL_SECONDS = 0.1
_LOG_LINES_SHOWN = 12
# The name of the server, in its environment and in that of all that it starts
_SERVER = "PIPELINE_LOCAL_SERVER"


@dataclass(frozen=True)
class Process:
    """A running server: its name, its pid and when it started (seconds since the epoch)."""

    name: str
    pid: int
    started_at: float

    def handle(self) -> psutil.Process | None:
        """Return the live process, or None if it has ended (its pid may belong to another one)."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
            if alive and abs(process.create_time() - self.started_at) < 1:
                return process
        return None


def start(
    name: str, argv: Sequence[str], *, environment: Mapping[str, str], cwd: Path, log: Path
) -> Process:
    """Start a server in a new session, so that Ctrl-C in the terminal does not reach it; its output
    goes to `log`.
    """
    with _opened(log) as output:
        child = subprocess.Popen(
            list(argv),
            env=dict(environment) | {_SERVER: name},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # The process may outlive this one; with a return code Popen does not warn about it.
    child.returncode = 0
    return Process(name, child.pid, psutil.Process(child.pid).create_time())


def _opened(log: Path) -> IO[bytes]:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("ab")
    except OSError as error:
        raise PipelineError(
            f"the log {log} cannot be written: {error.strerror}\n  do        make room"
        ) from error


def wait_until_ready(process: Process, url: str, *, log: Path, timeout_seconds: float = 60) -> None:
    """Wait until the server answers at `url`.

    Raises:
        PipelineError: it ended, or did not answer in time; the message has the end of its log.
    """
    import requests  # `status` and `env` wait for nothing and do without it

    session = requests.Session()
    session.trust_env = False  # a proxy of this shell cannot reach this machine's loopback
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        with suppress(requests.RequestException):
            if session.get(url, timeout=2).ok:
                return
        if process.handle() is None:
            raise PipelineError(f"{process.name} ended while it started\n{_tail(log)}")
        time.sleep(_POLL_SECONDS)
    raise PipelineError(
        f"{process.name} did not answer within {timeout_seconds:.0f} s\n{_tail(log)}"
    )


def require_answer(process: Process, url: str, *, log: Path, timeout_seconds: float = 60) -> None:
    """Ask a server that is ready for something that needs its database, once.

    Raises:
        PipelineError: it refused, or did not answer in time; the message has the end of its log.
    """
    import requests

    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(url, timeout=timeout_seconds)
        except requests.RequestException as error:
            got = type(error).__name__
        else:
            if answer.ok:
                return
            got = f"HTTP {answer.status_code}"
    raise PipelineError(f"{process.name} runs, and does not work: {got} for {url}\n{_tail(log)}")


def stop(processes: Sequence[Process]) -> None:
    """End these processes and their children, in parallel: with SIGTERM, then with SIGKILL.

    What a server that was killed has left is found by its session, and killed.
    """
    handles = [handle for process in processes if (handle := process.handle())]
    children = [child for handle in handles for child in _descendants(handle)]
    children += [left for process in processes if not process.handle() for left in _left(process)]
    for handle in handles:
        with suppress(psutil.NoSuchProcess):
            handle.terminate()
    _, remaining = psutil.wait_procs(handles, timeout=_STOP_SECONDS)
    left = [*remaining, *children]  # children that their parent did not end
    for survivor in left:
        with suppress(psutil.NoSuchProcess):
            survivor.kill()
    psutil.wait_procs(left, timeout=_STOP_SECONDS)


def _descendants(handle: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return list(handle.children(recursive=True))
    return []


def _left(process: Process) -> list[psutil.Process]:
    """Return what a server that has ended has left: processes of the session that it led.

    Their environment has the server's name too, because its pid may have led another session since.
    """
    found = []
    for candidate in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if (
                os.getsid(candidate.pid) == process.pid
                and candidate.create_time() > process.started_at - 1
                and candidate.environ().get(_SERVER) == process.name
            ):
                found.append(candidate)
    return found


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    shown = "\n".join(f"    {line}" for line in lines[-_LOG_LINES_SHOWN:])
    return f"  its log   {log}\n{shown}"
