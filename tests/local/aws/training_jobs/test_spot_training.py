"""A spot job and its checkpoints: what is copied, what survives an interruption, what it costs, and
which limits end it.
"""

import contextlib
import json

import boto3
import pytest
from botocore.exceptions import ClientError

from pipeline.local.aws.training_jobs import checkpoint_folder, status
from pipeline.local.aws.training_jobs.interruption import NotInterrupted, interrupt

pytestmark = pytest.mark.environment
LIMITS = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120}


class Job:
    """One spot job of the stand-in, with its own checkpoint prefix."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.bucket, self.prefix = server.outputs["ArtifactsBucket"], f"checkpoints/{name}/train"
        self.ml = server.state / "aws/jobs" / name / "opt/ml"

    def start(self, do, **changes):
        spot = {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": LIMITS,
            "CheckpointConfig": {
                "S3Uri": f"s3://{self.bucket}/{self.prefix}",
                "LocalPath": "/opt/ml/checkpoints",
            },
            "HyperParameters": {"do": do},
        }
        arguments = self.server.train_arguments(**(spot | changes))
        self.server.client("sagemaker").create_training_job(TrainingJobName=self.name, **arguments)
        return self

    def wait_for_line(self, text):
        log = self.server.state / "aws/jobs" / self.name / "log"
        self.server.eventually(lambda: log.exists() and text in log.read_text(), 30)
        return log.read_text().splitlines()

    def described(self):
        return self.server.client("sagemaker").describe_training_job(TrainingJobName=self.name)

    def ended(self):
        self.server.eventually(
            lambda: self.described()["TrainingJobStatus"] not in ("InProgress", "Stopping"), 30
        )
        return self.described()

    def stored(self):
        """What S3 holds below the prefix."""
        s3 = self.server.client("s3")
        listed = s3.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix + "/").get(
            "Contents", []
        )
        found = {}
        for item in listed:
            with contextlib.suppress(s3.exceptions.NoSuchKey):  # deleted since it was listed
                body = s3.get_object(Bucket=self.bucket, Key=item["Key"])["Body"]
                found[item["Key"].removeprefix(self.prefix + "/")] = body.read()
        return found

    def holds(self, **expected):
        self.server.eventually(
            lambda: self.stored() == {name: text.encode() for name, text in expected.items()}, 20
        )

    def interrupt(self, role="root"):
        session = boto3.Session(region_name="us-east-1", **self.server.keys(role))
        interrupt(session, self.server.endpoint, self.name)


@pytest.fixture
def job(server, job_name):
    return Job(server, job_name)


def statuses(described):
    return [item["Status"] for item in described["SecondaryStatusTransitions"]]


def test_an_interrupted_job_resumes_from_its_checkpoints_on_an_empty_instance(
    job,
):
    job.start("resume").wait_for_line("asleep")
    job.holds(**{"step-1/state": "one", "step-0": "zero"})  # while it runs
    marked = [
        job.ml / f"checkpoints/{name}{checkpoint_folder.UPLOADED}"
        for name in ("step-0", "step-1/state")
    ]
    # As SageMaker marks what it copied
    job.server.eventually(lambda: all(marker.is_file() for marker in marked))
    (job.ml / "go").touch()
    job.holds(**{"step-1/state": "one"})  # deleted here, deleted there
    job.server.eventually(lambda: [marker.exists() for marker in marked] == [False, True])
    job.interrupt()
    ended = job.ended()
    assert statuses(ended) == [
        *(
            "Starting",
            "Downloading",
            "Training",
            "Interrupted",
            "Starting",
            "Downloading",
            "Training",
        ),
        *("Uploading", "Completed"),
    ]
    found = [line for line in job.wait_for_line("FOUND") if line.startswith("FOUND")]
    survived = {"last": "at the signal", "step-1/state": "one"}
    assert found == ["FOUND {} clean", f"FOUND {json.dumps(survived)} clean"]
    assert job.stored() == {name: text.encode() for name, text in survived.items()}
    metrics = {item["MetricName"]: item["Value"] for item in ended["FinalMetricDataList"]}
    assert metrics == {"eval:loss_before": 7.5, "eval:loss": 2.0}


def test_a_spot_jobs_bill_is_the_spot_price_of_its_seconds_on_instances():
    document = {
        "SecondaryStatusTransitions": [],
        "EnableManagedSpotTraining": True,
        "_seconds": 90.0,  # of the attempts before
        "TrainingStartTime": 0.0,
    }
    status.end(document, "Completed", "Completed")
    assert (document["TrainingTimeInSeconds"], document["BillableTimeInSeconds"]) == (90, 27)
    on_demand = document | {"EnableManagedSpotTraining": False, "SecondaryStatusTransitions": []}
    status.end(on_demand, "Completed", "Completed")
    assert on_demand["BillableTimeInSeconds"] == 90


@pytest.mark.parametrize("do", ["resume stubborn", "resume 0"])
def test_an_interruption_counts_for_any_exit_code_and_for_an_ignored_signal(job, do):
    job.start(do).wait_for_line("asleep")
    job.holds(**{"step-1/state": "one", "step-0": "zero"})
    job.interrupt()
    assert statuses(job.ended())[3:] == [
        "Interrupted",
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]


def test_another_job_with_the_same_prefix_begins_where_the_first_one_stopped(server, job):
    job.start("resume").wait_for_line("asleep")
    server.client("sagemaker").stop_training_job(TrainingJobName=job.name)
    assert statuses(job.ended())[-2:] == ["Stopping", "Stopped"]
    assert job.stored()["last"] == b"at the signal"
    again = Job(server, f"{job.name}-again")
    again.prefix = job.prefix
    assert again.start("resume").ended()["TrainingJobStatus"] == "Completed"
    assert "at the signal" in again.wait_for_line("FOUND")[1]


def test_a_job_that_exceeds_its_wait_time_is_stopped(job):
    both = {
        "MaxRuntimeInSeconds": 2,
        "MaxWaitTimeInSeconds": 2,
    }  # waiting begins first, and so ends first
    ended = job.start("sleep", StoppingCondition=both).ended()
    assert (ended["TrainingJobStatus"], ended["SecondaryStatus"]) == (
        "Stopped",
        "MaxWaitTimeExceeded",
    )
    assert statuses(ended)[-2:] == ["Stopping", "MaxWaitTimeExceeded"]


def test_the_run_time_counts_over_all_attempts(job):
    job.start(
        "sleep", StoppingCondition={"MaxRuntimeInSeconds": 3, "MaxWaitTimeInSeconds": 120}
    ).wait_for_line("asleep")
    job.interrupt()
    ended = job.ended()
    assert ended["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert statuses(ended).count("Training") == 2
    assert ended["TrainingTimeInSeconds"] <= 6  # three seconds, and two graces of one second


@pytest.mark.parametrize(
    ("uri", "doing"),
    [
        (
            "s3://governed-finetune-local-artifacts-000000000000-us-east-1/executions/x/train",
            "Checkpoint download failed",
        ),
        (
            "s3://governed-finetune-local-artifacts-000000000000-us-east-1/base-models/x",
            "Checkpoint upload failed",
        ),
    ],
)
def test_a_job_whose_role_may_not_write_checkpoints_fails_with_that_reason(job, uri, doing):
    job.start("resume", CheckpointConfig={"S3Uri": uri})
    if "upload" in doing:
        job.wait_for_line("asleep")
        job.interrupt()
    reason = job.ended()["FailureReason"]
    assert reason.startswith(f"ClientError: {doing}: ")
    assert "AccessDenied" in reason


def test_nobody_interrupts_a_job_that_is_not_on_spot_or_not_on_an_instance(server, job):
    with pytest.raises(NotInterrupted, match="Requested resource not found"):
        job.interrupt()
    job.start("train").ended()
    with pytest.raises(
        NotInterrupted, match="has no instance to interrupt: its secondary status is Completed"
    ):
        job.interrupt()
    for role in ("scientist", "pipeline", "train"):
        with pytest.raises(
            NotInterrupted, match="not authorized to perform: sagemaker:InterruptTrainingJob"
        ):
            job.interrupt(role)
    demanded = Job(server, f"{job.name}-demanded")
    demanded.start(
        "sleep", EnableManagedSpotTraining=False, StoppingCondition={"MaxRuntimeInSeconds": 60}
    )
    demanded.wait_for_line("asleep")
    with pytest.raises(NotInterrupted, match="is not a spot job"):
        demanded.interrupt()
    server.client("sagemaker").stop_training_job(TrainingJobName=demanded.name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60}},
            "It must be present and be greater than or equal to MaxRuntimeInSeconds",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}},
            "It must be present and be greater than or equal to MaxRuntimeInSeconds",
        ),
        (
            {"EnableManagedSpotTraining": False},
            "It is only supported when EnableManagedSpotTraining is set to true",
        ),
        ({"CheckpointConfig": {"S3Uri": "https://x/y"}}, "expected s3://…, got 'https://x/y'"),
        (
            {"CheckpointConfig": {"S3Uri": "s3://x/y", "LocalPath": "/tmp/here"}},
            "not implemented: CreateTrainingJob CheckpointConfig.LocalPath /tmp/here",
        ),
    ],
)
def test_limits_that_contradict_each_other_are_refused(job, changes, message):
    with pytest.raises(ClientError, match=message):
        job.start("train", **changes)
