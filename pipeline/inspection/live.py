"""Show what a training does while it runs: step, loss, rate and remaining time, from its log.

    show = live.noting(config, lambda: account.client("logs", config), show)  # around `show`

SageMaker has final metrics only, so the lines are read that the job wrote since the last look. A
log that cannot be read is a note in the row: the execution does not depend on it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipeline.configuration.config import Config
from pipeline.errors import Refused
from pipeline.execution.outcome import Progress, StepState
from pipeline.inspection.job_logs import Reader
from pipeline.inspection.training_log import Curve

Show = Callable[[Progress], None]


def noting(config: Config, client: Callable[[], Any], show: Show) -> Show:
    """Return `show` extended: a training job that runs has its last step in its row.

    `client` makes the client of CloudWatch Logs; it is called when the first job runs.
    """
    jobs: dict[str, _Job] = {}

    def noted(step: StepState) -> StepState:
        if ":training-job/" not in step.job or step.status != "Executing":
            return step
        if step.job not in jobs:
            jobs[step.job] = _Job(Reader(config, client(), step))
        return replace(step, doing=jobs[step.job].text())

    def shown(progress: Progress) -> None:
        show(replace(progress, steps=tuple(noted(step) for step in progress.steps)))

    return shown


class _Job:
    """One job's log and the curve that was read from it."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._curve = reader, Curve()

    def text(self) -> str:
        """Return the last step, after the lines that are new."""
        try:
            for line in self._reader.more():
                self._curve.add(line.text)
        except Refused as error:
            return f"its log cannot be read: {str(error).splitlines()[0]}"
        return self._curve.text
