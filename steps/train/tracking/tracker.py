"""Live metrics of a training job in the workspace's MLflow.

    with tracked(arguments, workspace, training_job=name, prepared=prepared) as tracker:
        tracker.log(step, {"train_loss": 2.31})       # returns at once
        tracker.tag({"fp8_effective": "storage"})
        tracker.flush(); tracker.run_id; tracker.problems

Training neither waits for the workspace nor fails because of it. A separate thread sends what was
logged, a few seconds late and many values per request. While the workspace does not answer, values
wait in a queue; when the queue is full, the oldest are dropped. A missing permission or a refused
identity ends tracking. Each kind of problem is logged once and is in `problems` for the report,
with the number of lost values. The job's log has the same values (metric_lines.py): the log is the
record, the MLflow run is a view of it.

The run ends FINISHED, FAILED or, on SIGTERM, KILLED. On SIGTERM a process cannot know whether
SageMaker starts its job again (spot) or somebody stopped it. A job that is started again finds its
run and sets it to RUNNING. A process that is killed without SIGTERM leaves its run RUNNING.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from steps.governance.documents.document import Part
from steps.governance.documents.manifest import Prepared
from steps.governance.unity_catalog.identity import Workspace
from steps.train.arguments import Arguments
from steps.train.stopping import Stopped
from steps.train.tracking import described
from steps.train.tracking.live_tracker import FLUSH_SECONDS, LiveTracker
from steps.train.tracking.mlflow_run import MlflowRun, Status

NO_EXPERIMENT = "none"


class LiveMetrics(Part):
    """The MLflow run with the job's curves (None without a run), and the problems with it."""

    mlflow_run_id: str | None
    mlflow_experiment_id: str | None = None
    problems: list[str]


class Tracker(Protocol):
    """Where training sends its metrics. No method raises, and only `flush` and `finish` wait."""

    @property
    def run_id(self) -> str | None:
        """The id of the MLflow run, None until it is known."""

    @property
    def experiment_id(self) -> str | None:
        """The id of the run's experiment, None until the run is known."""

    @property
    def problems(self) -> list[str]:
        """What went wrong so far, one sentence each; the number of lost values is last."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Queue the values of one optimizer step."""

    def tag(self, tags: Mapping[str, str]) -> None:
        """Queue tags of the run."""

    def flush(self, within_seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all values are sent or lost, at most `within_seconds`."""

    def finish(self, status: Status, within_seconds: float = FLUSH_SECONDS) -> None:
        """Send what is left, then the job's status, in at most `within_seconds`."""


@contextmanager
def tracked(
    arguments: Arguments,
    workspace: Workspace,
    *,
    training_job: str,
    prepared: Prepared,
    leader: bool = True,
) -> Iterator[Tracker]:
    """Yield the job's tracker; finish it with the status that the block ends with."""
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
    """Return a tracker for the experiment that the hyperparameters name.

    It does nothing where they name none, and in every process of a job except the leader.
    """
    if arguments.mlflow_experiment == NO_EXPERIMENT or not leader:
        return Untracked()
    run = MlflowRun(
        workspace,
        experiment=arguments.mlflow_experiment,
        about=described.about(arguments, prepared, training_job=training_job),
    )
    return LiveTracker(run)


def summary(tracker: Tracker) -> LiveMetrics:
    """Return the run and its problems for the report."""
    return LiveMetrics(
        mlflow_run_id=tracker.run_id,
        mlflow_experiment_id=tracker.experiment_id,
        problems=tracker.problems,
    )


class Untracked:
    """A tracker that does nothing."""

    run_id: str | None = None
    experiment_id: str | None = None

    def __init__(self) -> None:
        self.problems: list[str] = []

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Do nothing."""

    def tag(self, tags: Mapping[str, str]) -> None:
        """Do nothing."""

    def flush(self, within_seconds: float = FLUSH_SECONDS) -> None:
        """Do nothing."""

    def finish(self, status: Status, within_seconds: float = FLUSH_SECONDS) -> None:
        """Do nothing."""
