"""Progress on a terminal, and durations."""

import io
import re
import sys
from datetime import UTC, datetime

import pytest

from pipeline.execution import progress, watch
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


def test_until_the_table_begins_others_write_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.shown(terminal) as show:
        sys.stderr.write("\rloading 1 of 2")  # a table holds back what has no line end yet
        assert terminal.getvalue() == "\rloading 1 of 2"
        show(Progress("arn", "Executing", (StepState("Prepare"),)))
        sys.stderr.write("\nnot before the table has room")
        assert "not before" not in terminal.getvalue()
    assert sys.stderr is terminal


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (3.21, "3.2 s"), (60, "1 min 00 s"), (260.4, "4 min 20 s"), (3840, "1 h 04 min")],
)
def test_a_duration_is_shown_in_the_units_of_its_size(seconds: float | None, text: str) -> None:
    assert progress.duration(seconds) == text


JOB = "arn:aws:sagemaker:us-east-1:111111111111:training-job/pipelines-4x7k-Train-1"


@pytest.mark.parametrize(
    ("reason", "how", "memory"),
    [
        ("AlgorithmError: , exit code: 137", "exit code: 137", True),
        ("AlgorithmError: , killed by signal 9", "killed by signal 9", True),
        ("AlgorithmError: , exit code: 1", "exit code: 1", False),
        ("AlgorithmError: ,", "exit code unknown", False),
    ],
)
def test_a_container_that_left_no_reason_is_explained(reason: str, how: str, memory: bool) -> None:
    listed = {
        "StepName": "Train",
        "StepStatus": "Failed",
        "FailureReason": reason,
        "Metadata": {"TrainingJob": {"Arn": JOB}},
    }
    shown = watch._state(listed, "").failure
    assert shown.startswith(f"AlgorithmError: the container ended without a reason ({how}); ")
    assert ("ran out of memory" in shown) == memory
    assert shown.endswith("/aws/sagemaker/TrainingJobs, stream pipelines-4x7k-Train-1/…")
    kept = "AlgorithmError: no such table: a.b.c, exit code: 3"
    assert watch._state(listed | {"FailureReason": kept}, "").failure == kept
