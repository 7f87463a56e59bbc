"""The operations on SageMaker training jobs; `run` executes a job. A job's document has the fields
of DescribeTrainingJob's answer, and our own, which begin with an underscore.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.local.aws import paging
from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.errors import InUse, Invalid, NotFound, NotServed
from pipeline.local.aws.processes.images import entry_point, on_this_machine
from pipeline.local.aws.store import Document, now
from pipeline.local.aws.training_jobs import status
from pipeline.local.aws.training_jobs.run import TrainingRun

SERVICE = "sagemaker.amazonaws.com"
ENDED = ("Completed", "Failed", "Stopped")
INTERRUPT = "InterruptTrainingJob"  # our own operation, not one of AWS; `interruption` calls it
INTERRUPTIBLE = ("Starting", "Downloading", "Training")
INTERRUPTED = (
    "InternalServerError: the embedded environment ended while this job ran. Start it again."
)
# Members of CreateTrainingJob that are implemented here, or have no effect on one machine.
_SERVED = {
    "TrainingJobName", "HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig",
    "OutputDataConfig", "ResourceConfig", "VpcConfig", "StoppingCondition", "Tags",
    "EnableNetworkIsolation", "ExperimentConfig", "EnableInterContainerTrafficEncryption",
    "Environment", "DebugHookConfig", "ProfilerConfig", "EnableManagedSpotTraining",
    "RemoteDebugConfig", "CheckpointConfig",
}  # fmt: skip
_LIST_SERVED = {
    "CreationTimeAfter", "CreationTimeBefore", "LastModifiedTimeAfter", "LastModifiedTimeBefore",
    "NameContains", "StatusEquals", "SortBy", "SortOrder",
}  # fmt: skip
CHECKPOINTS = "/opt/ml/checkpoints"
DEFAULT_RUNTIME_SECONDS = 86_400
_SUMMARY = (
    "TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime",
    "TrainingJobStatus", "SecondaryStatus",
)  # fmt: skip


class TrainingJobs:
    """CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs, StopTrainingJob, and our own
    InterruptTrainingJob, which acts as AWS's spot market. The stack allows it to root only.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store
        self._runs: dict[str, TrainingRun] = {}
        self.operations: Mapping[str, Callable[[Caller, Document], Document]] = {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": self.describe,
            "ListTrainingJobs": self.list_all,
            "StopTrainingJob": self.stop,
            INTERRUPT: self.interrupt,
        }

    def recover(self) -> None:
        """Mark jobs that were running when the environment ended as failed."""
        for job in self._store.all("training-job"):
            if job["TrainingJobStatus"] not in ENDED:
                with self._store.edit("training-job", job["TrainingJobName"]) as document:
                    status.end(document, "Failed", "Failed", INTERRUPTED)

    def create(self, caller: Caller, request: Document) -> Document:
        """Check names, rights, role and image as AWS would, then start the job."""
        _check_served(request)
        name = request["TrainingJobName"]
        arn = self._account.arn("sagemaker", f"training-job/{name}")
        self._account.check_may_pass(caller, request["RoleArn"], SERVICE)
        if request.get("Tags"):
            self._account.check_allowed(caller, "sagemaker:AddTags", arn)
        command = self._command(request["AlgorithmSpecification"])
        _check_channels(request.get("InputDataConfig") or [])
        _check_spot(request)
        session = self._account.session_of(request["RoleArn"], SERVICE, "SageMaker")
        with self._store.alone():
            if self._store.get("training-job", name) is not None:
                raise InUse(
                    "Training job names must be unique within an AWS account and region, "
                    "and a training job "
                    f"with this name already exists ({arn})"
                )
            self._store.add("training-job", name, _document(arn, request))
        run = self._runs[name] = TrainingRun(self._account, name, command, session)
        threading.Thread(target=run.run, name=f"training-job {name}", daemon=True).start()
        return {"TrainingJobArn": arn}

    def describe(self, caller: Caller, request: Document) -> Document:
        """The whole job."""
        return {key: value for key, value in self._job(request).items() if not key.startswith("_")}

    def list_all(self, caller: Caller, request: Document) -> Document:
        """Jobs, newest first, filtered by status, a part of the name, and the time."""
        paging.check("ListTrainingJobs", request, _LIST_SERVED)
        sort_by = {"Name": "TrainingJobName", "Status": "TrainingJobStatus"}
        jobs = [
            {key: job[key] for key in _SUMMARY if key in job}
            for job in paging.ordered(self._store.all("training-job"), request, sort_by=sort_by)
            if request.get("StatusEquals") in (None, job["TrainingJobStatus"])
            and request.get("NameContains", "") in job["TrainingJobName"]
        ]
        summaries, token = paging.page(jobs, request)
        return {"TrainingJobSummaries": summaries, **token}

    def stop(self, caller: Caller, request: Document) -> Document:
        """Send SIGTERM, and SIGKILL after the grace; the model that the job saved is uploaded."""
        name = self._job(request)["TrainingJobName"]
        with self._store.edit("training-job", name) as job:
            if job["TrainingJobStatus"] != "InProgress":
                raise Invalid(
                    "The request was rejected because the training job is in status "
                    f"{job['TrainingJobStatus']}."
                )
            job["TrainingJobStatus"] = "Stopping"
            status.enter(job, "Stopping", "Stopping the training job")
            self._runs[name].stop()
        return {}

    def interrupt(self, caller: Caller, request: Document) -> Document:
        """Take a spot job's instance away; it starts again from its checkpoints."""
        name = self._job(request)["TrainingJobName"]
        with self._store.edit("training-job", name) as job:
            if not job.get("EnableManagedSpotTraining"):
                raise Invalid(
                    f"{name} is not a spot job, so its instance cannot be interrupted "
                    "(EnableManagedSpotTraining)"
                )
            if (
                job["TrainingJobStatus"] != "InProgress"
                or job["SecondaryStatus"] not in INTERRUPTIBLE
            ):
                raise Invalid(
                    f"{name} has no instance to interrupt: its secondary status is "
                    f"{job['SecondaryStatus']}"
                )
            self._runs[name].interrupt()
        return {}

    def kill_all(self) -> None:
        """Kill every process group, because the server is closing."""
        for run in list(self._runs.values()):
            run.kill()

    def _command(self, algorithm: Mapping[str, Any]) -> list[str]:
        if "TrainingImage" not in algorithm:
            raise NotServed("CreateTrainingJob AlgorithmSpecification.AlgorithmName")
        if algorithm.get("TrainingInputMode", "File") != "File":
            raise NotServed(f"CreateTrainingJob TrainingInputMode {algorithm['TrainingInputMode']}")
        arguments = list(algorithm.get("ContainerArguments") or [])
        if override := algorithm.get("ContainerEntrypoint"):
            return on_this_machine(override) + arguments
        # Without ContainerEntrypoint the command is `docker run <image> train`.
        return entry_point(self._account.repository, algorithm["TrainingImage"]) + (
            arguments or ["train"]
        )

    def _job(self, request: Document) -> Document:
        job = self._store.get("training-job", request["TrainingJobName"])
        if job is None:
            raise NotFound("Requested resource not found.")
        return job


def _check_served(request: Document) -> None:
    """Refuse fields that are not implemented, so that a job that completes here does not fail in
    AWS.
    """
    if strange := sorted(request.keys() - _SERVED):
        raise NotServed(f"CreateTrainingJob {', '.join(strange)}")
    if request.get("EnableNetworkIsolation"):
        raise NotServed("CreateTrainingJob EnableNetworkIsolation=true")
    if (count := request["ResourceConfig"].get("InstanceCount")) != 1:
        raise NotServed(f"CreateTrainingJob ResourceConfig.InstanceCount {count}")


def _check_spot(request: Document) -> None:
    """Check the time limits of a spot job, with AWS's messages, and its local checkpoint path."""
    stopping = {"MaxRuntimeInSeconds": DEFAULT_RUNTIME_SECONDS} | (
        request.get("StoppingCondition") or {}
    )
    wait = stopping.get("MaxWaitTimeInSeconds")
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < stopping["MaxRuntimeInSeconds"]:
            raise Invalid(
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or "
                "equal to MaxRuntimeInSeconds"
            )
    elif wait is not None:
        raise Invalid(
            "Invalid MaxWaitTimeInSeconds. It is only supported when "
            "EnableManagedSpotTraining is set to true"
        )
    checkpoints = request.get("CheckpointConfig") or {"S3Uri": "s3://none"}
    if not checkpoints["S3Uri"].startswith("s3://"):
        raise Invalid(f"CheckpointConfig.S3Uri: expected s3://…, got {checkpoints['S3Uri']!r}")
    if (path := checkpoints.get("LocalPath", CHECKPOINTS)).rstrip("/") != CHECKPOINTS:
        raise NotServed(
            f"CreateTrainingJob CheckpointConfig.LocalPath {path}: anything but {CHECKPOINTS}"
        )


def _check_channels(channels: list[Mapping[str, Any]]) -> None:
    for channel in channels:
        source = channel["DataSource"].get("S3DataSource")
        if (
            source is None
            or source["S3DataType"] != "S3Prefix"
            or channel.get("InputMode", "File") != "File"
        ):
            raise NotServed(
                f"CreateTrainingJob channel {channel['ChannelName']}: anything but an "
                "S3Prefix in File mode"
            )
        if (
            channel.get("CompressionType", "None") != "None"
            or channel.get("RecordWrapperType", "None") != "None"
        ):
            raise NotServed(
                f"CreateTrainingJob channel {channel['ChannelName']}: CompressionType, "
                "RecordWrapperType"
            )


def _document(arn: str, request: Document) -> Document:
    created = now()
    name = request["TrainingJobName"]
    job = {key: value for key, value in request.items() if key != "Tags"}
    output = request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    job |= {
        "TrainingJobArn": arn,
        "TrainingJobStatus": "InProgress",
        "CreationTime": created,
        "LastModifiedTime": created,
        "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_RUNTIME_SECONDS}
        | (request.get("StoppingCondition") or {}),
        "ModelArtifacts": {"S3ModelArtifacts": f"{output}/{name}/output/model.tar.gz"},
        "SecondaryStatusTransitions": [],
        "_tags": request.get("Tags") or [],
    }
    status.enter(job, "Starting", "Starting the training job")
    return job
