"""The state of an execution: its steps while it runs, and its result when it has ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline.metrics import EVAL_LOSS, EVAL_LOSS_BEFORE

WAITING = "Waiting"
REJECTED = "Rejected"  # the Fail step after Gate
# How the register worker's note in an execution's description begins
# (steps/register/delivery/waiting.py).
REGISTER_WAITS = "Register waits: "
RUNNING = {"Executing", "Stopping"}


@dataclass(frozen=True)
class StepState:
    """One step as SageMaker describes it. A step that has not begun is Waiting."""

    name: str
    status: str = WAITING
    started: datetime | None = None
    ended: datetime | None = None
    failure: str = ""
    job: str = ""  # the training job's ARN, or the EMR Serverless job run's id
    metrics: Mapping[str, float] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    interruptions: int = 0  # how often a training job lost its spot instance
    waits: str = ""  # what the register worker waits for, and when it tries again
    doing: str = ""  # while it runs: how far a training is, from its log
    callback: bool = False  # a worker answers it
    streams: str = ""  # how the names of the job's log streams begin
    archive: str = ""  # the URI of the training job's archive, if it has one

    @property
    def seconds(self) -> float | None:
        """How long the step has run, in seconds; None if it has not begun."""
        if self.started is None:
            return None
        return ((self.ended or datetime.now(UTC)) - self.started).total_seconds()


@dataclass(frozen=True)
class Progress:
    """An execution at one moment."""

    arn: str
    status: str
    steps: tuple[StepState, ...]
    failure: str = ""

    @property
    def ended(self) -> bool:
        """Whether the execution has ended."""
        return self.status not in RUNNING


@dataclass(frozen=True)
class Outcome:
    """How an execution ended. Losses are nats per target token."""

    arn: str
    status: str
    failure: str
    steps: tuple[StepState, ...]
    model_name: str
    model_alias: str
    model_version: str | None
    model_uri: str | None
    record_uri: str | None
    eval_loss_before: float | None
    eval_loss: float | None
    sequence_length: int = 0
    report_url: str | None = None  # pages that a browser opens, as Register answered
    model_url: str | None = None
    run_url: str | None = None

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def succeeded(self) -> bool:
        """Whether every step succeeded, so that a model version was registered."""
        return self.status == "Succeeded"

    @property
    def rejected(self) -> bool:
        """Whether Gate refused the model: its loss is beyond the bound, and no step failed."""
        return self.status == "Failed" and any(step.name == REJECTED for step in self.steps)


def outcome(progress: Progress, parameters: Mapping[str, str]) -> Outcome:
    """Return the result of an ended execution."""
    metrics = {name: value for step in progress.steps for name, value in step.metrics.items()}
    outputs = {name: value for step in progress.steps for name, value in step.outputs.items()}
    return Outcome(
        arn=progress.arn,
        status=progress.status,
        failure=_reason(progress),
        steps=progress.steps,
        model_name=parameters.get("ModelName", ""),
        model_alias=parameters.get("ModelAlias", ""),
        model_version=outputs.get("model_version"),
        model_uri=outputs.get("model_uri"),
        record_uri=outputs.get("record_uri"),
        eval_loss_before=metrics.get(EVAL_LOSS_BEFORE),
        eval_loss=metrics.get(EVAL_LOSS),
        sequence_length=int(parameters.get("SequenceLength", 0)),
        report_url=outputs.get("report_url"),
        model_url=outputs.get("model_url"),
        run_url=_tracked(outputs.get("run_url")),
    )


def _tracked(url: str | None) -> str | None:
    """Register answers `none` where the training has no MLflow run."""
    return None if url == "none" else url


def _reason(progress: Progress) -> str:
    """The reasons of the failed steps. The execution's own reason often only names the steps."""
    failed = [
        f"{step.name}: {step.failure}"
        for step in progress.steps
        if step.status == "Failed" and step.failure
    ]
    return "\n".join(failed) or progress.failure
