"""Whether a register worker has taken the message of a Register step that waits.

    show = attention.noting(config, s3_of(config), show)    # around the `show` of `follow`

A Callback step shows no progress, and SQS shows no message without receiving it. So three things
are read, each with a right that a data scientist has (docs/decisions/024-heartbeat.md):

1. the note of a worker that tries again (`watch`): then a worker lives, and nothing is added;
2. `executions/<id>/register/leases/`: a worker that works on it writes there every 13 s;
3. the worker's heartbeat, for what to do about it.

All times are S3's own, so this machine's clock is not compared with theirs.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pipeline import command, layout
from pipeline.configuration.config import Config
from pipeline.execution.outcome import Progress, StepState

Show = Callable[[Progress], None]

# The one threshold: four heartbeats, ten renewals of a lease, six polls.
UNTAKEN_SECONDS = 120
NOT_TAKEN = "no worker has taken it for"
_MINUTE = 60


def noting(config: Config, client: Callable[[], Any], show: Show) -> Show:
    """Return `show` extended: a Register step without a worker has a note about that.

    `client` makes the S3 client; it is called when a step has waited for UNTAKEN_SECONDS.
    """
    made: list[Any] = []

    def shown(progress: Progress) -> None:
        waiting = [step for step in progress.steps if _may_be_untaken(step)]
        if not progress.ended and waiting:
            if not made:
                made.append(client())
            progress = noted(config, made[0], progress)
        show(progress)

    return shown


def noted(config: Config, s3: Any, progress: Progress) -> Progress:
    """Return the progress with a note at each Callback step that no worker works on."""
    seen = Seen(config, s3)
    return replace(
        progress,
        steps=tuple(
            replace(step, waits=seen.note(step, progress.arn)) if _may_be_untaken(step) else step
            for step in progress.steps
        ),
    )


def _may_be_untaken(step: StepState) -> bool:
    return (
        step.callback
        and step.status == "Executing"
        and not step.waits
        and (step.seconds or 0) >= UNTAKEN_SECONDS
    )


@dataclass(frozen=True)
class Seen:
    """What the buckets show of the workers of one environment."""

    config: Config
    s3: Any

    def note(self, step: StepState, execution_arn: str) -> str:
        """Return the note of a step that has waited for UNTAKEN_SECONDS; empty if it is taken."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            taken, now = self._taken(execution_arn)
            since = max(filter(None, (taken, step.started)))
            seconds = (now - since).total_seconds()
            if seconds < UNTAKEN_SECONDS:
                return ""
            return f"{NOT_TAKEN} {_minutes(seconds)} · {self._worker(now)}"
        except ClientError as error:
            return f"whether a worker has taken it is not known: {_code(error)}"
        except BotoCoreError as error:
            return f"whether a worker has taken it is not known: {type(error).__name__}"

    def _taken(self, execution_arn: str) -> tuple[datetime | None, datetime]:
        """Return when a worker last held the execution's lease, or None; and S3's time now."""
        bucket, prefix = _place(layout.evidence(self.config))
        folder = f"{prefix}/{execution_arn.rsplit('/', 1)[-1]}/register/leases/"
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
        written, now = [], datetime.now(UTC)
        for page in pages:
            written += [entry["LastModified"] for entry in page.get("Contents", [])]
            now = _time_of(page)
        return max(written, default=None), now

    def _worker(self, now: datetime) -> str:
        """Return what the heartbeat shows, and what to do."""
        from botocore.exceptions import ClientError

        bucket, key = _place(layout.heartbeat(self.config))
        try:
            answer = self.s3.get_object(Bucket=bucket, Key=key)
            with answer["Body"] as body:
                beat = json.loads(body.read())
        except ClientError as error:  # without s3:ListBucket an absent object is AccessDenied
            return f"no heartbeat of a worker can be read ({_code(error)}): start a register worker"
        age = (now - answer["LastModified"]).total_seconds()
        name, at = beat.get("worker", "?"), f"{answer['LastModified']:%Y-%m-%d %H:%M:%S} UTC"
        if age >= UNTAKEN_SECONDS:
            return f"the last heartbeat is of {at}, by {name}: start a register worker"
        if beat.get("state") == "working":
            return f"worker {name} lives and works on execution {beat.get('execution') or '?'}"
        look = command.line("pipeline.reconcile", self.config.environment)
        return f"worker {name} lives, and its queue has no message of this execution: {look}"


def _place(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _time_of(answer: dict[str, Any]) -> datetime:
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", "?"))


def _minutes(seconds: float) -> str:
    """Return 2, 4, 8, … minutes, so that the note changes seldom."""
    minutes = max(1, UNTAKEN_SECONDS // _MINUTE)
    while minutes * 2 * _MINUTE <= seconds:
        minutes *= 2
    return f"{minutes} min" if minutes < _MINUTE else f"{minutes // _MINUTE} h"
