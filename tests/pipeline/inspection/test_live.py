"""What --follow shows of a training while it runs."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.configuration import config
from pipeline.errors import Refused
from pipeline.execution import progress as shown
from pipeline.execution.outcome import Progress, StepState
from pipeline.inspection import live
from tests.pipeline.inspection.test_job_logs import Logs

JOB = "arn:aws:sagemaker:us-east-1:0:training-job/job-1"
TRAIN = StepState(
    "Train", "Executing", datetime.now(UTC) - timedelta(seconds=5), job=JOB, streams="job-1/"
)
LINE = "[train] step={step} train_loss=3.2; tokens_per_second=1800; eta_seconds=65;"


def test_the_row_has_step_loss_rate_and_remaining_time(configured: config.Config) -> None:
    logs = Logs({"job-1/algo-1": [(1, LINE.format(step=1))]})
    seen: list[str] = []
    made: list[Any] = []

    def client() -> Any:
        made.append(logs)
        return logs

    show = live.noting(configured, client, lambda each: seen.append(shown.metric(each.steps[-1])))
    waiting = StepState("Prepare", "Executing", TRAIN.started, job="00j", streams="applications/")
    show(Progress("arn", "Executing", (waiting,)))
    assert made == []
    show(Progress("arn", "Executing", (waiting, TRAIN)))
    logs.streams["job-1/algo-1"].append((2, LINE.format(step=2)))
    show(Progress("arn", "Executing", (waiting, TRAIN)))
    logs.streams["job-1/algo-1"].append((3, LINE.format(step=3).replace("=65", "=0")))
    show(Progress("arn", "Executing", (waiting, TRAIN)))
    ended = replace(TRAIN, status="Succeeded", ended=datetime.now(UTC), metrics={"eval:loss": 2})
    show(Progress("arn", "Succeeded", (ended,)))
    assert seen[1:] == [
        "step 1 · train loss 3.2000 · 1,800 tokens/s · 1 min 05 s left",
        "step 2 · train loss 3.2000 · 1,800 tokens/s · 1 min 05 s left",
        "step 3 · train loss 3.2000 · 1,800 tokens/s · trained; samples and files follow",
        "eval loss 2.0000",
    ]
    assert len(made) == 1


def test_a_log_that_cannot_be_read_is_a_note_and_the_following_continues(
    configured: config.Config,
) -> None:
    class Denied(Logs):
        def paginate(self, **_: str) -> Any:
            message = "reading the log was refused by AWS: AccessDenied: no\n  do  ask"
            raise Refused(message)

    seen: list[Progress] = []
    live.noting(configured, lambda: Denied({}), seen.append)(Progress("a", "Executing", (TRAIN,)))
    assert seen[0].steps[0].doing == (
        "its log cannot be read: reading the log was refused by AWS: AccessDenied: no"
    )


def test_without_a_terminal_a_training_has_a_line_every_ten_seconds() -> None:
    stream = io.StringIO()
    with shown.shown(stream) as show:
        for seconds in (0, 9, 11, 20, 22):
            began = datetime.now(UTC) - timedelta(seconds=seconds)
            step = replace(TRAIN, started=began, doing=f"step {seconds}")
            show(Progress("arn", "Executing", (step,)))
    lines = stream.getvalue().splitlines()
    assert [line.rsplit("step ", 1)[-1] for line in lines] == ["0", "11", "22"]
