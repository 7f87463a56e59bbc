"""One training job from download to upload, the way SageMaker's hosts run a container.

    <state>/jobs/<name>/opt/ml/input/config/{hyperparameters,inputdataconfig,resourceconfig}.json
                               input/data/<channel>/…       model/       output/{data/,failure}

The root moves with SAGEMAKER_BASE_DIR. S3 and CloudWatch Logs see the job role's session and nothing else.
"""

import contextlib
import json
import threading
import time
from collections.abc import Sequence
from typing import Any

from pipeline.local.aws.account import Account, RoleSession
from pipeline.local.aws.jobs import JobProcess, inherited
from pipeline.local.aws.metrics import MetricReader
from pipeline.local.aws.store import Document, now

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
MAX_REASON_CHARACTERS = 1024
_HOST = "algo-1"


class JobFailed(Exception):
    """The job ended without doing its work; the message is the FailureReason."""


def enter(job: Document, status: str, message: str) -> None:
    """Move the job's secondary status on."""
    at = now()
    transitions = job["SecondaryStatusTransitions"]
    if transitions and "EndTime" not in transitions[-1]:
        transitions[-1]["EndTime"] = at
    transitions.append({"Status": status, "StartTime": at, "StatusMessage": message})
    job["SecondaryStatus"] = status
    job["LastModifiedTime"] = at


def end(job: Document, status: str, secondary: str, reason: str = "") -> None:
    """Give the job its last status."""
    enter(job, secondary, reason or f"Training job {secondary.lower()}")
    at = job["LastModifiedTime"]
    job["SecondaryStatusTransitions"][-1]["EndTime"] = at
    job["TrainingJobStatus"] = status
    if reason:
        job["FailureReason"] = reason[:MAX_REASON_CHARACTERS]
    if started := job.get("TrainingStartTime"):
        job["TrainingEndTime"] = at
        job["TrainingTimeInSeconds"] = job["BillableTimeInSeconds"] = max(1, round(at - started))


class TrainingRun:
    """The thread behind one job."""

    def __init__(self, account: Account, name: str, command: Sequence[str], session: RoleSession) -> None:
        self._account = account
        self._name = name
        self._command = command
        self._session = session
        self._folder = account.state / "jobs" / name
        self._ml = self._folder / "opt" / "ml"
        self._process: JobProcess | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Download, run, upload; every way out is a status in the store."""
        status, secondary, reason = "Completed", "Completed", ""
        try:
            status, secondary = self._work()
        except JobFailed as failure:
            status, secondary, reason = "Failed", "Failed", str(failure)
        except Exception as error:  # noqa: BLE001  # a thread's last chance: the job must not stay InProgress for ever
            status, secondary, reason = "Failed", "Failed", f"InternalServerError: {error}"
        if not self._account.closing.is_set():  # else the next start records what the end of the environment cut off
            with self._account.store.edit("training-job", self._name) as job:
                end(job, status, secondary, reason)
        self._account.revoke(self._session)

    def stop(self) -> None:
        """Stop as StopTrainingJob does."""
        with self._lock:
            self._stopping.set()
            if self._process is not None:
                self._process.stop(self._account.stop_grace_seconds)

    def kill(self) -> None:
        """End the process group now."""
        with self._lock:
            self._stopping.set()
            if self._process is not None:
                self._process.kill()

    def _work(self) -> tuple[str, str]:
        from pipeline.local.aws.transfer import Transfer  # brings boto3, which the server's start need not wait for

        job = self._account.store.get("training-job", self._name) or {}
        transfer = Transfer(self._account.client("s3", self._session), self._name, job)
        self._move("Downloading", "Downloading input data")
        self._lay_out(job)
        transfer.download_channels(self._ml / "input" / "data")
        if self._stopping.is_set():
            return "Stopped", "Stopped"
        self._move("Training", "Training image download completed. Training in progress.")
        code, timed_out, last_line, metrics = self._execute(job)
        with self._account.store.edit("training-job", self._name) as document:
            if metrics:
                document["FinalMetricDataList"] = metrics
        ended_early = self._stopping.is_set() or timed_out
        if code != 0 and not ended_early:
            with contextlib.suppress(JobFailed):  # the reason of the job itself is the one to tell
                transfer.upload_output(self._ml)
            raise JobFailed(self._reason(code, last_line))
        if not ended_early:
            self._move("Uploading", "Uploading generated training model")
        transfer.upload_model(self._ml)
        transfer.upload_output(self._ml)
        if timed_out:
            return "Stopped", "MaxRuntimeExceeded"
        return ("Stopped", "Stopped") if self._stopping.is_set() else ("Completed", "Completed")

    def _move(self, status: str, message: str) -> None:
        with self._account.store.edit("training-job", self._name) as job:
            if job["TrainingJobStatus"] == "InProgress":
                enter(job, status, message)
                if status == "Training":
                    job["TrainingStartTime"] = now()

    def _lay_out(self, job: Document) -> None:
        for folder in ("input/config", "input/data", "model", "output/data"):
            (self._ml / folder).mkdir(parents=True, exist_ok=True)
        resources = job.get("ResourceConfig") or {}
        files: dict[str, Any] = {
            "hyperparameters": job.get("HyperParameters") or {},
            "inputdataconfig": {
                channel["ChannelName"]: {
                    "TrainingInputMode": "File",
                    "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                        "S3DataDistributionType", "FullyReplicated"
                    ),
                    "RecordWrapperType": "None",
                }
                for channel in job.get("InputDataConfig") or []
            },
            "resourceconfig": {
                "current_host": _HOST,
                "hosts": [_HOST],
                "network_interface_name": "lo",
                "current_instance_type": resources.get("InstanceType", "local"),
            },
        }
        for name, content in files.items():
            (self._ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))

    def _execute(self, job: Document) -> tuple[int, bool, str, list[Document]]:
        from pipeline.local.aws.logs import LogStream

        metrics = MetricReader(job["AlgorithmSpecification"].get("MetricDefinitions") or [])
        log = LogStream(
            self._account.client("logs", self._session),
            group=LOG_GROUP,
            name=f"{self._name}/{_HOST}-{int(time.time())}",
            copy=self._folder / "log",
        )

        def hear(_: str, line: str) -> None:
            log.write(line)
            metrics.read(line, now())

        try:
            with self._lock:
                self._process = process = JobProcess(
                    self._command,
                    cwd=self._account.repository,
                    environment=self._environment(job),
                    hear=hear,
                    merged=True,
                )
                if self._stopping.is_set():
                    process.stop(self._account.stop_grace_seconds)
            code = process.wait(job["StoppingCondition"]["MaxRuntimeInSeconds"])
            timed_out = code is None
            if code is None:
                process.stop(self._account.stop_grace_seconds)
                code = process.wait() or 0
        finally:
            log.close()
        return code, timed_out, log.last_line, metrics.final()

    def _environment(self, job: Document) -> dict[str, str]:
        return (
            inherited(self._folder)
            | (job.get("Environment") or {})
            | self._account.variables(self._session)
            | {
                "SAGEMAKER_BASE_DIR": str(self._ml),
                "TRAINING_JOB_NAME": self._name,
                "TRAINING_JOB_ARN": job["TrainingJobArn"],
            }
        )

    def _reason(self, code: int, last_line: str) -> str:
        failure = self._ml / "output" / "failure"
        said = failure.read_text(errors="replace").strip() if failure.is_file() else last_line
        how = f"exit code: {code}" if code >= 0 else f"killed by signal {-code}"
        return f"AlgorithmError: {said[: MAX_REASON_CHARACTERS - 60]}, {how}"
