"""Long transfers show what is done, the rate and the time that is left; short ones nothing."""

import io

import pytest

from pipeline import command
from pipeline.shell import amount

TOTAL = 40_000_000


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def copied(stream: io.StringIO, *, seconds: float) -> str:
    """Return what is written while ten parts are done, each after a tenth of the time."""
    now = [0.0]
    with amount.shown("uploading", TOTAL, stream=stream, clock=lambda: now[0]) as add:
        for _ in range(10):
            now[0] += seconds / 10
            add(TOTAL // 10)
    return stream.getvalue()


def test_what_ends_within_three_seconds_shows_nothing() -> None:
    for stream in (io.StringIO(), Terminal()):
        assert copied(stream, seconds=2.9) == ""


def test_a_file_has_a_line_every_ten_seconds_with_rate_and_remaining_time() -> None:
    assert copied(io.StringIO(), seconds=40).splitlines() == [
        "uploading  4 of 40 MB · 1.0 MB/s · 36.0 s left",
        "uploading  16 of 40 MB · 1.0 MB/s · 24.0 s left",
        "uploading  28 of 40 MB · 1.0 MB/s · 12.0 s left",
        "uploading  40 of 40 MB · 1.0 MB/s",
    ]


def test_a_terminal_has_one_line_that_changes_and_no_colours() -> None:
    text = copied(Terminal(), seconds=40)
    assert text.count("\n") == 1
    assert text.split("\r")[-1].strip() == "uploading  40 of 40 MB · 1.0 MB/s"
    assert "\x1b" not in text


def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "quiet", lambda: True)
    assert copied(Terminal(), seconds=40) == ""


def test_other_things_than_bytes_are_counted_too_and_the_total_may_be_unknown() -> None:
    now, stream = [0.0], io.StringIO()
    unit = amount.Unit("filings")
    for total in (4000, 0):
        with amount.shown("loading", total, unit=unit, stream=stream, clock=lambda: now[0]) as add:
            now[0] += 4
            add(1000)
    assert stream.getvalue().splitlines() == [
        "loading    1,000 of 4,000 filings · 250.0 filings/s · 12.0 s left",
        "loading    1,000 filings · 250.0 filings/s",
    ]


def test_the_message_of_an_error_begins_on_a_new_line() -> None:
    now, stream = [0.0], Terminal()

    def cut_short() -> None:
        with amount.shown("uploading", TOTAL, stream=stream, clock=lambda: now[0]) as add:
            now[0] += 4
            add(TOTAL // 10)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        cut_short()
    assert stream.getvalue().endswith("\n")
