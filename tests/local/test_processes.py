"""Servers are known by pid and start time, reported with their log when they fail, and ended with
all they started.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.errors import PipelineError
from pipeline.local.host import processes
from pipeline.local.host.processes import (
    Process,
    require_answer,
    start,
    stop,
    wait_until_ready,
)
from tests.support.http_server import Handler, served

SLEEPS = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', "
    "flush=True); time.sleep(60)"
)
PARENT = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {SLEEPS!r}])
print("up", flush=True)
time.sleep(60)
"""


def run(tmp_path: Path, code: str, *, until: str = "") -> Process:
    log = tmp_path / "log"
    process = start(
        "server", [sys.executable, "-c", code], environment=dict(os.environ), cwd=tmp_path, log=log
    )
    deadline = time.monotonic() + 20
    while until not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_a_started_process_is_found_until_it_is_stopped(tmp_path: Path) -> None:
    process = run(tmp_path, SLEEPS)
    assert process.handle() is not None
    stop([process])
    assert process.handle() is None


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    process = run(tmp_path, PARENT, until="up")
    handle = process.handle()
    assert handle is not None
    children = handle.children()
    assert children
    stop([process])
    assert not any(
        child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children
    )


def test_what_a_killed_server_left_is_ended_and_nothing_else(tmp_path: Path) -> None:
    process = run(tmp_path, PARENT, until="up")
    handle = process.handle()
    assert handle is not None
    (child,) = handle.children()
    with subprocess.Popen([sys.executable, "-c", SLEEPS], start_new_session=True) as other:
        handle.kill()
        handle.wait(10)
        assert child.is_running(), "nothing would be left to end"
        stop([process, Process("server", other.pid, psutil.Process(other.pid).create_time() + 9)])
        child.wait(10)
        assert other.poll() is None, "somebody else's process was ended"
        other.kill()


def test_a_process_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_STOP_SECONDS", 0.5)
    process = run(tmp_path, STUBBORN, until="deaf")
    stop([process])
    assert process.handle() is None


def test_a_reused_pid_is_not_ours(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPS]) as other:
        impostor = Process("server", other.pid, psutil.Process(other.pid).create_time() - 100)
        assert impostor.handle() is None
        stop([impostor])
        assert other.poll() is None, "somebody else's process was ended"
        other.kill()


def test_a_server_that_ends_while_it_starts_is_reported_with_its_log(tmp_path: Path) -> None:
    process = run(tmp_path, "raise SystemExit('the disk is full')", until="full")
    with pytest.raises(
        PipelineError, match=r"server ended while it started(.|\n)*the disk is full"
    ):
        wait_until_ready(process, "http://127.0.0.1:9/", log=tmp_path / "log", timeout_seconds=20)


def test_a_server_that_never_answers_is_reported(tmp_path: Path) -> None:
    process = run(tmp_path, SLEEPS)
    with pytest.raises(PipelineError, match="did not answer within 0 s"):
        wait_until_ready(process, "http://127.0.0.1:9/", log=tmp_path / "log", timeout_seconds=0.3)
    stop([process])


class Damaged(Handler):
    """A tracking server whose database cannot be read: its health is fine, every call fails."""

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/health" else 500)


def test_a_server_that_is_ready_and_does_not_work_is_reported_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("file is not a database\n")
    process = Process("tracking", os.getpid(), psutil.Process().create_time())
    with served(Damaged) as origin:
        wait_until_ready(process, f"{origin}/health", log=log, timeout_seconds=20)
        with pytest.raises(PipelineError, match=r"does not work: HTTP 500(.|\n)*is not a database"):
            require_answer(process, f"{origin}/experiments", log=log)
    with pytest.raises(PipelineError, match="does not work: ConnectionError"):
        require_answer(process, "http://127.0.0.1:9/", log=log)
