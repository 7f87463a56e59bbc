"""A long work shows how far it is, in a log or to a person; a short one writes nothing."""

import io
import time

import pytest

from steps.governance.commands import pace
from steps.governance.commands.pace import Pace, Work

WORK = Work("tokenizing", 4000, "examples")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(*, seconds: float) -> list[str]:
    """Return what is written while ten parts are done, each after a tenth of the time."""
    now, lines = [0.0], list[str]()
    counted = Pace(WORK, lines.append, clock=lambda: now[0])
    for _ in range(10):
        now[0] += seconds / 10
        counted.add(400)
    counted.end()
    return lines


def test_what_ends_within_three_seconds_writes_nothing() -> None:
    assert written(seconds=2.9) == []


def test_a_log_has_a_line_every_ten_seconds_and_the_last_state() -> None:
    assert written(seconds=40) == [
        "tokenizing 400 of 4,000 examples · 100.0 examples/s · 36.0 s left",
        "tokenizing 1,600 of 4,000 examples · 100.0 examples/s · 24.0 s left",
        "tokenizing 2,800 of 4,000 examples · 100.0 examples/s · 12.0 s left",
        "tokenizing 4,000 of 4,000 examples · 100.0 examples/s",
        "tokenizing 4,000 of 4,000 examples · 100.0 examples/s",
    ]


@pytest.mark.parametrize(
    ("seconds", "left"), [(1.0, "9.0 s"), (60.0, "9 min 00 s"), (600.0, "1 h 30 min")]
)
def test_the_remaining_time_is_in_the_units_of_its_size(seconds: float, left: str) -> None:
    assert WORK.text(400, seconds).endswith(f" · {left} left")
    assert WORK.text(0, seconds) == "tokenizing 0 of 4,000 examples"


def test_a_terminal_has_one_line_that_changes_while_nothing_is_done_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(pace, "_TERMINAL_SECONDS", 0.01)
    terminal = Terminal()
    with pace.shown(Work("checking", 2, "records"), quiet=False, stream=terminal) as add:
        until = time.monotonic() + 60
        while "0 of 2" not in terminal.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
        add(2)
    text = terminal.getvalue()
    assert "\rchecking 0 of 2 records" in text
    assert text.split("\r")[-1].startswith("checking 2 of 2 records · ")
    assert (text.count("\n"), "\x1b" in text) == (1, False)


def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SILENT_SECONDS", 0.0)
    for quiet in (True, False):
        stream = io.StringIO()
        with pace.shown(WORK, quiet=quiet, stream=stream) as add:
            add(400)
        assert (stream.getvalue() == "") == quiet
