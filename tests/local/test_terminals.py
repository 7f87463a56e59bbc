"""Places that are no ordinary terminal: closed, dumb, narrow. Each gets what it can show.

`test_bad_inputs` has what people type wrongly.
"""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.execution import progress
from pipeline.execution.outcome import Progress, StepState
from pipeline.shell import amount
from steps.governance.commands import pace

REPOSITORY = Path(__file__).resolve().parents[2]
COMMANDS = ("run", "runs", "report", "compare", "logs", "trace", "rejected", "approve", "cost")


@pytest.mark.parametrize("name", COMMANDS)
def test_without_stdout_nothing_is_done_and_one_message_has_the_reason(name: str) -> None:
    command = f'exec "$0" -m pipeline.{name} --env local >&-'
    ended = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("stdout is closed, so the result has no place")
    assert "Traceback" not in ended.stderr


def test_without_stderr_the_exit_code_and_the_result_stay(tmp_path: Path) -> None:
    words = f"status --state {tmp_path} 2>&-"
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m pipeline.local {words}', sys.executable],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (1, "down\n")


@contextlib.contextmanager
def terminal(columns: int) -> Iterator[tuple[int, "os.PathLike[str] | str"]]:
    """A real terminal of this width: the number that reads what is shown, and its name."""
    reads, shows = pty.openpty()
    fcntl.ioctl(shows, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        yield reads, os.ttyname(shows)
    finally:
        os.close(reads)
        os.close(shows)


def shown(columns: int, work: str) -> str:
    """What a work shows on a terminal of this width."""
    with terminal(columns) as (reads, name):
        with open(name, "w", encoding="utf-8") as stream:
            WORKS[work](stream)
        text = b""
        while select.select([reads], [], [], 0.2)[0]:
            text += os.read(reads, 65536)
        return text.decode()


def _executed(stream: object) -> None:
    began = datetime(2026, 11, 30, tzinfo=UTC)
    failed = StepState("Prepare", "Failed", began, began, "because " * 60)
    with progress.shown(stream) as show:  # type: ignore[arg-type]
        show(Progress("arn:aws:sagemaker:us-east-1:0:pipeline/p/execution/a", "Failed", (failed,)))


def _amount(stream: object) -> None:
    now = [0.0]
    unit = amount.Unit("filings of many companies")
    with amount.shown("loading", 100, unit=unit, stream=stream, clock=lambda: now[0]) as add:  # type: ignore[arg-type]
        for _ in range(3):
            now[0] += 5
            add(10)


def _pace(stream: object) -> None:
    line = pace._Line(stream)  # type: ignore[arg-type]
    for done in (1, 2, 3):
        line.write(f"checking {done} of 3 records · 1.0 records/s · 2.0 s left, and more of it")


WORKS = {"execution": _executed, "amount": _amount, "pace": _pace}


@pytest.mark.parametrize("work", WORKS)
def test_a_dumb_terminal_gets_lines_only(work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    text = shown(120, work)
    assert "\x1b" not in text
    assert "\r" not in text.replace("\r\n", "")
    assert text.strip()


def test_a_narrow_terminal_gets_lines_of_an_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "│" in shown(100, "execution")
    assert "│" not in shown(40, "execution")


def test_a_long_failure_leaves_the_table_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert shown(100, "execution").count("because") <= 2 * 20  # the first and the last table


@pytest.mark.parametrize("work", ["amount", "pace"])
def test_a_line_that_is_written_over_fits_a_narrow_terminal(
    work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    parts = shown(40, work).replace("\r\n", "\r").split("\r")
    assert len([part for part in parts if part.strip()]) >= 3
    assert max(map(len, parts)) < 40
