"""Progress on a terminal, and durations."""

import io
import re
from datetime import UTC, datetime

import pytest

from pipeline.execution import progress
from pipeline.execution.outcome import Progress, StepState


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_table_whose_text_is_not_markup() -> None:
    failed = StepState(
        "Train",
        "Failed",
        datetime(2026, 11, 22, tzinfo=UTC),
        datetime(2026, 11, 22, 0, 1, tzinfo=UTC),
        "no [red]",
    )
    terminal = Terminal()
    with progress.shown(terminal) as show:
        show(
            Progress(
                "arn:aws:sagemaker:us-east-1:0:pipeline/p/execution/abc",
                "Failed",
                (StepState("Prepare"), failed),
            )
        )
    shown = terminal.getvalue()
    assert "pipeline/p/execution/abc" in shown
    assert re.search(r"Prepare.*Waiting", shown)
    assert re.search(r"Train.*Failed.*1 min 00 s.*no \[red\]", shown)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (3.21, "3.2 s"), (60, "1 min 00 s"), (260.4, "4 min 20 s"), (3840, "1 h 04 min")],
)
def test_a_duration_is_shown_in_the_units_of_its_size(seconds: float | None, text: str) -> None:
    assert progress.duration(seconds) == text
