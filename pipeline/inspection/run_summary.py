"""One execution as a person looks at it: who started it, what differed, how it ended.

    summary = run_summary.read(config, client, arn)
    summaries = run_summary.latest(config, client, most=20)

Only calls that a data scientist may make are used. All of them read, so botocore repeats a lost
answer, a 5xx or a throttled call (`pipeline.account`).
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from pipeline import account
from pipeline.configuration.config import Config
from pipeline.execution import ran_with
from pipeline.execution.outcome import REJECTED, Outcome, Progress, StepState, outcome
from pipeline.execution.watch import observe

_AT_ONCE = 8  # executions described at the same time; botocore's pool has 10 connections
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Summary:
    """An execution, its starter, its parameters and its result."""

    id: str
    name: str
    who: str
    started: datetime
    ended: datetime | None
    ran: ran_with.RanWith
    result: Outcome

    @property
    def status(self) -> str:
        """Its status in a word; Rejected where Gate refused the model."""
        return REJECTED if self.result.rejected else self.result.status

    @property
    def seconds(self) -> float | None:
        """How long it ran, or None while it runs."""
        return (self.ended - self.started).total_seconds() if self.ended else None

    @property
    def steps(self) -> tuple[StepState, ...]:
        """The steps that have begun, in order of time."""
        return self.result.steps

    def document(self) -> dict[str, Any]:
        """Return the summary as JSON values (docs/commands.md)."""
        return {
            "execution": self.result.arn,
            "id": self.id,
            "name": self.name,
            "who": self.who,
            "status": self.status,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat() if self.ended else None,
            "seconds": self.seconds,
            "eval_loss_before": self.result.eval_loss_before,
            "eval_loss": self.result.eval_loss,
            "model": self.result.model_name,
            "version": self.result.model_version,
            "differs": {name: value for name, (_, value) in self.ran.differing.items()},
            "reason": self.result.failure,
            "report_url": self.result.report_url,
            "model_url": self.result.model_url,
            "run_url": self.result.run_url,
        }


def latest(
    config: Config, client: Any, *, most: int, wanted: Callable[[Summary], bool] | None = None
) -> list[Summary]:
    """Return the newest executions of the environment's pipeline for which `wanted` is true.

    Raises:
        Refused: AWS refused.
    """
    found: list[Summary] = []
    arns = _arns(config, client)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while len(found) < most and (batch := list(islice(arns, max(_AT_ONCE, most)))):
            read_one = pool.map(lambda arn: read(config, client, arn), batch)
            found += [each for each in read_one if wanted is None or wanted(each)]
    return found[:most]


def read(config: Config, client: Any, arn: str) -> Summary:
    """Return the summary of one execution.

    Raises:
        Refused: AWS refused, or the execution does not exist.
    """
    with account.answering(f"describing {arn}", config):
        described = client.describe_pipeline_execution(PipelineExecutionArn=arn)
    ran = ran_with.read(config, client, arn)
    progress = _in_order(observe(config, client, arn, planned=()))
    return Summary(
        id=arn.rsplit("/", 1)[-1],
        name=described.get("PipelineExecutionDisplayName", ""),
        who=starter(described),
        started=described["CreationTime"],
        ended=_end(progress, described),
        ran=ran,
        result=outcome(progress, ran.values),
    )


def starter(described: Mapping[str, Any]) -> str:
    """Return who started an execution: the Studio profile, or the session's or user's name."""
    by = described.get("CreatedBy", {})
    arn = by.get("IamIdentity", {}).get("Arn", "")
    return str(by.get("UserProfileName") or arn.rsplit("/", 1)[-1] or _UNKNOWN)


def _arns(config: Config, client: Any) -> Any:
    name = config.pipeline.name
    with account.answering(f"ListPipelineExecutions {name}", config):
        pages = client.get_paginator("list_pipeline_executions").paginate(
            PipelineName=name, SortBy="CreationTime", SortOrder="Descending"
        )
        for page in pages:
            for each in page["PipelineExecutionSummaries"]:
                account.check_account(each["PipelineExecutionArn"], config)
                yield each["PipelineExecutionArn"]


def _in_order(progress: Progress) -> Progress:
    """SageMaker lists the newest step first."""
    begun = [step for step in progress.steps if step.started is not None]
    return Progress(
        progress.arn,
        progress.status,
        tuple(sorted(begun, key=lambda step: (step.started, step.ended or step.started))),
        progress.failure,
    )


def _end(progress: Progress, described: Mapping[str, Any]) -> datetime | None:
    if not progress.ended:
        return None
    ends = [step.ended for step in progress.steps if step.ended is not None]
    last: datetime = max(ends, default=described["LastModifiedTime"])
    return last
