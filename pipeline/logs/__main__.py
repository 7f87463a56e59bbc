"""Read the log of an execution's step.

    python -m pipeline.logs --env dev 4x7k2m9p1q0z              # the step that failed, or runs
    python -m pipeline.logs --env dev 4x7k2m9p1q0z Prepare
    python -m pipeline.logs --env dev 4x7k2m9p1q0z --follow     # each step's, until the run ends
    python -m pipeline.logs --env dev 4x7k2m9p1q0z Train --tail 20

Prepare and Train have logs that a data scientist may read; the other steps start no job. Register's
worker serves all executions, and its log is for who operates it. What looks like a secret is
replaced by [hidden].
"""

import json
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pipeline import account, command
from pipeline.command import note, output
from pipeline.configuration import config
from pipeline.configuration.config import Config
from pipeline.errors import UsageError, did_you_mean
from pipeline.execution import start
from pipeline.execution.outcome import Progress, StepState
from pipeline.execution.watch import observe, planned
from pipeline.inspection import job_logs
from pipeline.inspection.job_logs import Line


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(argv)
    configured = config.load(command.environment(given.env))
    client = account.sagemaker(configured)
    arn = start.named(configured, client, given.execution)
    names = planned(configured, client, arn)

    def look() -> Progress:
        return observe(configured, client, arn, planned=names)

    step = _first(look(), given) or following(look, "")
    while step is not None:
        note(f"{arn.rsplit('/', 1)[-1]} {step.name}: {step.status}  {_about(step)}".rstrip())
        if step.streams:
            _print(_found(configured, client, arn, step=step, given=given), step, given)
        if step.failure and step.streams:
            note(f"{step.name} failed: {step.failure}")
        if given.step or not given.follow:
            return 0
        step = following(look, step.name)
    return 0


def _first(progress: Progress, given: Namespace) -> StepState | None:
    """Return the step to begin with; None if it is to be waited for."""
    begun = progress.ended or any(step.streams for step in progress.steps)
    return None if given.follow and not given.step and not begun else chosen(progress, given.step)


def following(
    look: Callable[[], Progress], name: str, *, sleep: Callable[[float], None] = time.sleep
) -> StepState | None:
    """Wait for the step with a log that begins after the named one, or for the first one.

    None once the run has ended.

    Raises:
        Refused: AWS refused.
    """
    while True:
        seen = look()
        with_log = [step.name for step in seen.steps if step.streams]
        later = with_log[with_log.index(name) + 1 :] if name in with_log else with_log
        if later:
            return next(step for step in seen.steps if step.name == later[0])
        if seen.ended:
            return None
        sleep(job_logs.PAUSE_SECONDS)


def chosen(progress: Progress, name: str | None) -> StepState:
    """Return the named step; or the one that failed, or runs, or was the last with a log.

    Raises:
        UsageError: no step has this name, or none has begun.
    """
    by_name = {step.name: step for step in progress.steps}
    if name is not None:
        if name not in by_name:
            message = f"the execution has no step {name!r}{did_you_mean(name, by_name)}"
            raise UsageError(message)
        return by_name[name]
    with_log = [step for step in progress.steps if step.streams]
    failed = [step for step in with_log if step.status == "Failed"]
    running = [step for step in with_log if step.ended is None]
    if found := failed or running or with_log[-1:]:
        return found[0]
    message = "no step with a log has begun; expected Prepare or Train; try again in a minute"
    raise UsageError(message)


def _about(step: StepState) -> str:
    if step.streams:
        return ""
    if step.started is None:
        return "it has not begun"
    return step.failure or step.waits or "it starts no job and has no log"


def _found(
    configured: Config, client: Any, arn: str, *, step: StepState, given: Namespace
) -> Iterable[Line]:
    logs = account.client("logs", configured)
    if not given.follow:
        found = job_logs.lines(configured, logs, step)
        return deque(found, maxlen=given.tail) if given.tail else found

    def ended() -> bool:
        seen = observe(configured, client, arn, planned=())
        now = next((each for each in seen.steps if each.name == step.name), step)
        return now.ended is not None or seen.ended

    return job_logs.followed(configured, logs, step, ended=ended)


def _print(lines: Iterable[Line], step: StepState, given: Namespace) -> None:
    count = 0
    for count, line in enumerate(lines, 1):  # noqa: B007 - counts
        if given.json:
            document = {"time": line.at.isoformat(), "step": step.name, "stream": line.stream}
            output(json.dumps(document | {"line": line.text}))
        else:
            output(line.text)
    if not count:
        note("the log has no lines: the job has written none yet, or their retention has ended")


def _parser() -> ArgumentParser:
    made = command.parser("pipeline.logs", __doc__ or "", command.EXIT_CODES)
    made.add_argument("execution", metavar="EXECUTION", help="an execution's id or ARN")
    made.add_argument("step", metavar="STEP", nargs="?", help="Prepare or Train")
    made.add_argument(
        "--follow",
        action="store_true",
        help="print new lines until STEP ends; without STEP, the run",
    )
    made.add_argument("--tail", type=_count, metavar="N", help="the last N lines only")
    made.add_argument("--json", action="store_true", help="print one JSON object for each line")
    return made


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"expected a whole number of at least 1, got {text!r}"
        raise UsageError(message)
    return int(text)


if __name__ == "__main__":
    sys.exit(command.ended(main))
