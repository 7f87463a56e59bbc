"""One training job from download to upload, and through its interruptions, the way SageMaker's
hosts run a container.

S3 and CloudWatch Logs see the job role's session and nothing else. A stop and a spot interruption
send SIGTERM, and after the grace SIGKILL; then the checkpoint folder is copied a last time.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.local.aws.account import Account, RoleSession
from pipeline.local.aws.store import Document, now
from pipeline.local.aws.training_jobs import role_rights
from pipeline.local.aws.training_jobs.container import Container
from pipeline.local.aws.training_jobs.metric_reader import MetricReader
from pipeline.local.aws.training_jobs.status import (
    JobFailed,
    end,
    enter,
    leave_instance,
    seconds_on_instances,
)

if TYPE_CHECKING:
    from pipeline.local.aws.training_jobs.transfer import Transfer

Outcome = tuple[str, str]  # status and secondary status


class TrainingRun:
    """The thread behind one job."""

    def __init__(
        self, account: Account, name: str, command: Sequence[str], session: RoleSession
    ) -> None:
        self._account = account
        self._name = name
        self._command = command
        self._session = session
        self._container: Container | None = None
        self._metrics: MetricReader | None = None
        self._stopping = threading.Event()
        self._interrupted = threading.Event()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Run every attempt and record the job's final status in every case."""
        status, secondary, reason = "Completed", "Completed", ""
        try:
            status, secondary = self._work()
        except JobFailed as failure:
            status, secondary, reason = "Failed", "Failed", str(failure)
        except Exception as error:  # noqa: BLE001
            # This thread ends here, and the job must not stay InProgress.
            status, secondary, reason = "Failed", "Failed", f"InternalServerError: {error}"
        if (
            not self._account.closing.is_set()
        ):  # else the next start of the environment records the interruption
            with self._account.store.edit("training-job", self._name) as job:
                end(job, status, secondary, reason)
        self._account.revoke(self._session)

    def stop(self) -> None:
        """Stop as StopTrainingJob does."""
        self._end_container(self._stopping)

    def interrupt(self) -> None:
        """Take the instance away as the spot market does; the job starts again from its
        checkpoints.
        """
        self._end_container(self._interrupted)

    def kill(self) -> None:
        """Kill the process group."""
        with self._lock:
            self._stopping.set()
            if self._container is not None:
                self._container.kill()

    def _end_container(self, why: threading.Event) -> None:
        with self._lock:
            why.set()
            if self._container is not None:
                self._container.stop()

    def _work(self) -> Outcome:
        while (outcome := self._attempt()) is None:
            pass  # the instance was taken away; here another one is available at once
        return outcome

    def _attempt(self) -> Outcome | None:
        """Run the job on one instance; return its end, or None if the instance was taken away."""
        from pipeline.local.aws.training_jobs.transfer import (
            Transfer,  # imports boto3, which would delay the start of the server
        )

        job = self._account.store.get("training-job", self._name) or {}
        s3, container = self._account.client("s3", self._session), self._next_container(job)
        transfer = Transfer(s3, self._name, job)
        self._move("Downloading", "Downloading input data")
        container.lay_out()
        role_rights.check(self._account, self._session, job)
        transfer.download_channels(container.ml / "input" / "data")
        checkpoints = _restored(s3, job, container)
        if self._stopping.is_set():
            return "Stopped", "Stopped"
        self._move("Training", "Training image download completed. Training in progress.")
        seconds, limit = _time_left(job)
        with checkpoints, container.running(self._metrics_handler(job)) as process:
            code = process.wait(seconds)
            if code is None:
                self._move("Stopping", "Stopping the training job")
                container.stop()
                process.wait()
        self._note_metrics()
        if code is None:
            return self._saved(transfer, container, ("Stopped", limit))
        if self._instance_is_gone(code):
            return None
        if code != 0 and not self._stopping.is_set():
            with contextlib.suppress(JobFailed):  # the job's own failure is the one to report
                transfer.upload_output(container.ml)
            raise JobFailed(container.reason(code))
        return self._saved(transfer, container, ("Completed", "Completed"))

    def _next_container(self, job: Document) -> Container:
        with self._lock:
            self._interrupted.clear()
            self._container = Container(self._account, job, self._command, self._session)
            return self._container

    def _instance_is_gone(self, code: int) -> bool:
        """Return whether an interruption ended the container, with any exit code; then the next
        attempt begins.
        """
        with self._account.store.edit("training-job", self._name) as job:
            if job["TrainingJobStatus"] != "InProgress":
                return False
            if self._interrupted.is_set():
                leave_instance(job)
                enter(job, "Interrupted", "The spot instance was taken away")
                enter(job, "Starting", "Launching requested ML instances")
                return True
            if code == 0:
                enter(job, "Uploading", "Uploading generated training model")
            return False

    def _saved(self, transfer: "Transfer", container: Container, outcome: Outcome) -> Outcome:
        """Upload model and output, also those of a stopped job, as in AWS."""
        transfer.upload_model(container.ml)
        transfer.upload_output(container.ml)
        return (
            ("Stopped", "Stopped")
            if outcome[0] == "Completed" and self._stopping.is_set()
            else outcome
        )

    def _metrics_handler(self, job: Document) -> Callable[[str], None]:
        """Return a reader of metrics over all attempts: the last value is the job's."""
        if self._metrics is None:
            self._metrics = MetricReader(
                job["AlgorithmSpecification"].get("MetricDefinitions") or []
            )
        metrics = self._metrics
        return lambda line: metrics.read(line, now())

    def _note_metrics(self) -> None:
        if self._metrics is not None and (final := self._metrics.final()):
            with self._account.store.edit("training-job", self._name) as job:
                job["FinalMetricDataList"] = final

    def _move(self, status: str, message: str) -> None:
        with self._account.store.edit("training-job", self._name) as job:
            if job["TrainingJobStatus"] == "InProgress":
                enter(job, status, message)
                if status == "Stopping":
                    job["TrainingJobStatus"] = status


def _restored(
    s3: Any, job: Document, container: Container
) -> contextlib.AbstractContextManager[None]:
    """Restore the checkpoint folder and return the context that copies it; a null one without
    a CheckpointConfig.
    """
    from pipeline.local.aws.training_jobs.checkpoint_folder import CheckpointFolder

    if not (checkpoints := job.get("CheckpointConfig")):
        return contextlib.nullcontext()
    folder = CheckpointFolder(s3, checkpoints["S3Uri"], container.ml / "checkpoints")
    folder.restore()
    return folder.followed()


def _time_left(job: Document) -> tuple[float, str]:
    """Return the seconds until the job's nearest limit, and the limit's name. The run time counts
    over all attempts, the wait time from the creation.
    """
    stopping = job["StoppingCondition"]
    left = [(stopping["MaxRuntimeInSeconds"] - seconds_on_instances(job), "MaxRuntimeExceeded")]
    if "MaxWaitTimeInSeconds" in stopping:
        left.append(
            (job["CreationTime"] + stopping["MaxWaitTimeInSeconds"] - now(), "MaxWaitTimeExceeded")
        )
    seconds, name = min(left)
    return max(seconds, 0.001), name
