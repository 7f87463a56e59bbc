"""A full disk is refused before the start, named when it happens, and loses no result."""

import errno
import json
import os
import shutil
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

import pytest

from pipeline import command
from pipeline.errors import PipelineError
from pipeline.local import __main__ as local
from pipeline.local import environment, journey
from pipeline.local.host import disk
from pipeline.local.host.processes import Process, start
from pipeline.local.host.state import Record, State
from pipeline.local.journey import Journey

Usage = namedtuple("Usage", "total used free")
MIB = 1 << 20


@pytest.fixture(autouse=True)
def environment_variables() -> Iterator[None]:
    """The command removes variables of real clouds from its process; they come back."""
    with patch.dict(os.environ):
        yield


@pytest.fixture
def nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with 20 MiB left."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 1 << 40, 20 * MIB))


@pytest.mark.usefixtures("nearly_full")
@pytest.mark.parametrize("verb", ["run", "up"])
def test_a_disk_without_room_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    state = tmp_path / "state"
    assert command.ended(local.main, [verb, "--state", str(state)]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("NoRoom: ")
    assert "is full" not in errors, "one message"
    assert f"the disk of {state} has no room for the environment" in errors
    assert "expected  512 MiB free\n  got       20 MiB\n" in errors
    assert "Traceback" not in errors
    assert State(state).load() == Record(), "a server was started"


@pytest.mark.usefixtures("nearly_full")
def test_a_command_on_a_full_disk_notes_it_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local.main(["status", "--state", str(tmp_path)])
    assert f"the disk of {tmp_path} is full: 20 MiB are free" in capsys.readouterr().err


def test_any_command_names_a_disk_that_fills_up(capsys: pytest.CaptureFixture[str]) -> None:
    def fills(_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/report.html")

    assert command.ended(fills) == 1
    assert capsys.readouterr().err.startswith("the disk is full: /data/report.html: No space left")


def test_other_errors_of_the_system_keep_their_traceback() -> None:
    def fails(_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "no")

    with pytest.raises(PermissionError):
        command.ended(fails)


def test_the_result_is_printed_although_the_environment_cannot_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: object) -> NoReturn:
        raise PipelineError("environment.json cannot be written: No space left on device")

    def travelled(state: State, *_: object, **__: object) -> Journey:
        state.use.begin(fresh=True)
        return Journey(seconds={"environment": 1.0})

    monkeypatch.setattr(environment, "down", full)
    monkeypatch.setattr(journey, "travel", travelled)
    words = ["run", "--json", "--state", str(tmp_path)]
    assert command.ended(local.main, words) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["seconds"] == {"environment": 1.0}
    assert "No space left on device" in shown.err


def aws_stand_in(state: State, *, saves: bool) -> Process:
    """A process in place of the AWS stand-in; at SIGTERM it leaves the mark of a whole save."""
    mark = state.folder / "aws" / "saved"
    mark.parent.mkdir(parents=True)
    code = (
        "import pathlib, signal, sys, time\n"
        f"end = lambda *_: ({saves} and pathlib.Path({str(mark)!r}).write_text('all'), sys.exit(0))"
        "\nsignal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(60)"
    )
    log = state.log("aws")
    process = start(
        "aws", [sys.executable, "-c", code], environment=dict(os.environ), cwd=Path.cwd(), log=log
    )
    while "up" not in log.read_text():
        assert process.handle() is not None
    state.save(Record(processes=(process,), complete=True))
    return process


def test_down_reports_that_the_state_was_not_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = State(tmp_path)
    process = aws_stand_in(state, saves=False)
    assert command.ended(local.main, ["down", "--state", str(tmp_path)]) == 1
    errors = capsys.readouterr().err
    assert "the AWS stand-in was stopped, and could not store all of its state" in errors
    assert str(state.log("aws")) in errors
    assert process.handle() is None


def test_down_is_content_with_a_state_that_was_saved(tmp_path: Path) -> None:
    aws_stand_in(State(tmp_path), saves=True)
    assert [process.name for process in environment.down(State(tmp_path))] == ["aws"]


def test_a_disk_with_room_is_not_mentioned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk.note_if_full(State(tmp_path))
    assert capsys.readouterr().err == ""
