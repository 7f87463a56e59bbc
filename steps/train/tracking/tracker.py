"""Live metrics of a training job in the workspace's MLflow, which training neither waits for nor fails of.

    with tracked(arguments, workspace, training_job=name, prepared=prepared) as tracker:
        tracker.log(step, {"train_loss": 2.31})       # returns at once
        tracker.tag({"fp8_effective": "storage"})
        tracker.flush(); tracker.run_id; tracker.problems

A thread of its own sends what was logged, some seconds late and many values at once. While the workspace does not
answer, values wait in a queue; when that is full the oldest go. A missing right or a refused identity ends tracking.
Each kind of trouble is logged once, and `problems` has it for the report, with the number of values that were lost.
What is logged here stands in the job's log as well (progress.py): that is the record, the run is the view of it.

The run ends FINISHED, FAILED or, on SIGTERM, KILLED: a process cannot know whether SageMaker starts its job again (spot)
or somebody stopped it. If it is started again it finds its run and sets it RUNNING. A process that dies without a word
leaves it RUNNING.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from steps.governance.identity import Workspace
from steps.governance.manifest import Prepared
from steps.train.arguments import Arguments
from steps.train.report.findings import LiveMetrics
from steps.train.stopping import Stopped
from steps.train.tracking.live_tracker import FLUSH_SECONDS, LiveTracker
from steps.train.tracking.mlflow_run import MlflowRun, Status

NO_EXPERIMENT = "none"

_PARAMS = (
    *(
        "epochs",
        "max_steps",
        "learning_rate",
        "lora_rank",
        "sequence_length",
        "seed",
        "fp8_mode",
        "optimizer",
    ),
    *(
        "eval_steps",
        "early_stopping_patience",
        "max_eval_examples",
        "determinism",
        "merged_export",
        "compile",
        "sharding",
    ),
)


class Tracker(Protocol):
    """Where metrics go while training runs; no method fails or waits for long."""

    @property
    def run_id(self) -> str | None:
        """The MLflow run, once it is known."""

    @property
    def problems(self) -> list[str]:
        """What went wrong so far, one sentence each, the number of lost values last."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Note the values of one optimizer step."""

    def tag(self, tags: Mapping[str, str]) -> None:
        """Note facts about the run."""

    def flush(self, within_seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all that was noted is sent or lost, at most so long."""

    def finish(self, status: Status, within_seconds: float = FLUSH_SECONDS) -> None:
        """Send what is left, then how the job ended; at most so long."""


@contextmanager
def tracked(
    arguments: Arguments,
    workspace: Workspace,
    *,
    training_job: str,
    prepared: Prepared,
    leader: bool = True,
) -> Iterator[Tracker]:
    """The job's tracker, finished with what became of the block."""
    tracker = start(
        arguments, workspace, training_job=training_job, prepared=prepared, leader=leader
    )
    try:
        yield tracker
    except Stopped:
        tracker.finish("KILLED")
        raise
    except BaseException:
        tracker.finish("FAILED")
        raise
    tracker.finish("FINISHED")


def start(
    arguments: Arguments,
    workspace: Workspace,
    *,
    training_job: str,
    prepared: Prepared,
    leader: bool = True,
) -> Tracker:
    """A tracker for the experiment that the hyperparameters name, or one that does nothing: where they name none, and in
    the processes of a job that do not speak for it.
    """
    if arguments.mlflow_experiment == NO_EXPERIMENT or not leader:
        return Untracked()
    run = MlflowRun(
        workspace,
        experiment=arguments.mlflow_experiment,
        training_job=training_job,
        tags={
            "execution_arn": arguments.execution_arn,
            "curated_table": prepared.target.table,
            "curated_version": str(prepared.target.version),
            "base_model": arguments.base_model,
            "base_model_revision": arguments.base_model_revision,
        },
        params={name: str(getattr(arguments, name)) for name in _PARAMS},
    )
    return LiveTracker(run)


def summary(tracker: Tracker) -> LiveMetrics:
    """For the report: where the live metrics are, and what went wrong with them."""
    return LiveMetrics(mlflow_run_id=tracker.run_id, problems=tracker.problems)


class Untracked:
    """Tracks nothing."""

    run_id: str | None = None

    def __init__(self) -> None:
        self.problems: list[str] = []

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def tag(self, tags: Mapping[str, str]) -> None:
        """Nothing."""

    def flush(self, within_seconds: float = FLUSH_SECONDS) -> None:
        """Nothing."""

    def finish(self, status: Status, within_seconds: float = FLUSH_SECONDS) -> None:
        """Nothing."""
