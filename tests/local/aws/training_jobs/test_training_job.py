"""A training job as its container sees it, and as DescribeTrainingJob describes it afterwards."""

import io
import json
import tarfile

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.environment


@pytest.fixture
def train(server, job_name):
    """Run one job and wait for its end; return DescribeTrainingJob's answer."""

    def run(until="end", **changes):
        sagemaker = server.client("sagemaker")
        sagemaker.create_training_job(TrainingJobName=job_name, **server.train_arguments(**changes))

        def describe():
            return sagemaker.describe_training_job(TrainingJobName=job_name)

        if until == "end":
            server.eventually(
                lambda: describe()["TrainingJobStatus"] not in ("InProgress", "Stopping"), 30
            )
        else:
            log = server.state / "aws/jobs" / job_name / "log"
            server.eventually(lambda: log.exists() and until in log.read_text(), 30)
        return describe()

    return run


def test_the_container_finds_its_files_and_variables_and_nothing_of_the_server(
    server, train, job_name
):
    s3, bucket = server.client("s3"), server.outputs["ArtifactsBucket"]
    s3.put_object(Bucket=bucket, Key="base-models/tiny/1/config.json", Body=b"{}")
    s3.put_object(Bucket=bucket, Key="base-models/tiny/1/deep/weights.bin", Body=b"w")
    source = {
        "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/base-models/tiny/1/"}
    }
    job = train(
        HyperParameters={"do": "describe", "epochs": "1"},
        InputDataConfig=[{"ChannelName": "model", "DataSource": source}],
        Environment={"HF_HUB_OFFLINE": "1"},
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    lines = server.training_log(job_name)
    assert lines[0] == "train begins ['train']"  # as `docker run <image> train`
    (line,) = (line for line in lines if line.startswith("DESCRIPTION "))
    seen = json.loads(line.removeprefix("DESCRIPTION "))
    check_config(seen["config"])
    assert not (
        server.state / "aws/jobs" / job_name / "opt/ml/checkpoints"
    ).exists()  # none without a CheckpointConfig
    assert seen["data"] == ["input/data/model/config.json", "input/data/model/deep/weights.bin"]
    assert (
        seen["arn"]
        == f"arn:aws:sts::000000000000:assumed-role/{job['RoleArn'].rsplit('/', 1)[1]}/SageMaker"
    )
    assert seen["cwd"] == str(server.repository)
    assert seen["home"] == str(server.state / "aws/jobs" / job_name)
    assert {
        "TRAINING_JOB_NAME",
        "TRAINING_JOB_ARN",
        "HF_HUB_OFFLINE",
        "SAGEMAKER_BASE_DIR",
        *("GOVERNED_FINETUNE_BUILD", "GOVERNED_FINETUNE_CPU"),
    } <= set(seen["environment"])
    assert {"SECRET_OF_THE_SHELL", "AWS_PROFILE", "AUTH", "STATE_DIR"}.isdisjoint(
        seen["environment"]
    )


def check_config(config):
    """Check the three files of /opt/ml/input/config."""
    assert config["hyperparameters.json"] == {"do": "describe", "epochs": "1"}
    assert config["inputdataconfig.json"]["model"]["TrainingInputMode"] == "File"
    group = {
        "instance_group_name": "homogeneousCluster",
        "instance_type": "ml.g5.16xlarge",
        "hosts": ["algo-1"],
    }
    assert config["resourceconfig.json"] == {
        "current_host": "algo-1",
        "current_instance_type": "ml.g5.16xlarge",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "lo",
    }


def test_a_completed_job_has_its_archives_metrics_and_history(server, train, job_name):
    job = train(HyperParameters={"do": "train", "loss": "1e-3"})
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith(
        f"/executions/x/{job_name}/output/model.tar.gz"
    )
    assert [item["Status"] for item in job["SecondaryStatusTransitions"]] == [
        *("Starting", "Downloading", "Training", "Uploading", "Completed")
    ]
    assert all(item["EndTime"] >= item["StartTime"] for item in job["SecondaryStatusTransitions"])
    assert [(item["MetricName"], item["Value"]) for item in job["FinalMetricDataList"]] == [
        ("eval:loss_before", 7.5),
        ("eval:loss", 0.001),  # the last match; and a metric that never came is not there
    ]
    assert job["TrainingTimeInSeconds"] >= 1
    s3, bucket = server.client("s3"), server.outputs["ArtifactsBucket"]
    names = {}
    for kind in ("model", "output"):
        body = s3.get_object(Bucket=bucket, Key=f"executions/x/{job_name}/output/{kind}.tar.gz")[
            "Body"
        ].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            names[kind] = sorted(member.name for member in archive if member.isfile())
    assert names == {"model": ["adapter.txt", "deep/b.txt"], "output": ["report.txt"]}


def test_every_line_is_in_the_log_in_order(server, train, job_name):
    assert (
        train(HyperParameters={"do": "train", "lines": "3000"})["TrainingJobStatus"] == "Completed"
    )
    numbered = [line for line in server.training_log(job_name) if line.startswith("line ")]
    assert numbered == [f"line {number}" for number in range(3000)]


@pytest.mark.parametrize(
    ("do", "reason", "last"),
    [
        (
            "crash disk full",
            "AlgorithmError: RuntimeError: disk full, exit code: 1",
            "RuntimeError: disk full",
        ),
        (
            "fail no such table: a.b.c",
            "AlgorithmError: no such table: a.b.c, exit code: 3",
            "train begins ['train']",
        ),
        # Its last line is not why it ended
        ("die", "AlgorithmError: , killed by signal 9", "train begins ['train']"),
    ],
)
def test_a_failed_job_has_its_own_reason_and_a_complete_log(
    server, train, job_name, do, reason, last
):
    job = train(HyperParameters={"do": do})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"], job["FailureReason"]) == (
        "Failed",
        "Failed",
        reason,
    )
    assert server.training_log(job_name)[-1] == last
    listed = server.client("s3").list_objects_v2(
        Bucket=server.outputs["ArtifactsBucket"], Prefix=f"executions/x/{job_name}"
    )
    assert listed["KeyCount"] == 0


def test_a_stopped_job_gets_a_signal_and_then_has_none_of_its_processes(server, train, job_name):
    train(until="asleep", HyperParameters={"do": "sleep family"})
    assert len(server.processes(job_name)) == 3  # keeper, job, grandchild
    sagemaker = server.client("sagemaker")
    sagemaker.stop_training_job(TrainingJobName=job_name)
    server.eventually(
        lambda: (
            sagemaker.describe_training_job(TrainingJobName=job_name)["TrainingJobStatus"]
            == "Stopped"
        )
    )
    assert server.processes(job_name) == []
    assert server.training_log(job_name)[-1] == "asleep"
    with pytest.raises(ClientError, match="status Stopped"):
        sagemaker.stop_training_job(TrainingJobName=job_name)


def test_a_job_that_ignores_the_signal_is_killed_after_the_grace(server, train, job_name):
    train(until="asleep", HyperParameters={"do": "sleep stubborn"})
    server.client("sagemaker").stop_training_job(TrainingJobName=job_name)
    server.eventually(lambda: not server.processes(job_name), 5)


def test_a_job_that_takes_too_long_is_stopped(train):
    job = train(HyperParameters={"do": "sleep"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_channel_without_objects_or_rights_fails_before_the_container_runs(
    server, train, job_name
):
    source = {
        "S3DataSource": {
            "S3DataType": "S3Prefix",
            "S3Uri": "s3://governed-finetune-local-governed-000000000000-us-east-1/raw/",
        }
    }
    job = train(InputDataConfig=[{"ChannelName": "data", "DataSource": source}])
    assert job["FailureReason"].startswith("ClientError: Data download failed for channel data")
    assert "AccessDenied" in job["FailureReason"]
    assert not (server.state / "aws/jobs" / job_name / "log").exists()


def test_a_name_is_used_once(server, train, job_name):
    train()
    with pytest.raises(ClientError, match="ResourceInUse"):
        server.client("sagemaker").create_training_job(
            TrainingJobName=job_name, **server.train_arguments()
        )


def test_jobs_are_listed_newest_first_by_status_and_name(server, train, job_name):
    train()
    listed = server.client("sagemaker").list_training_jobs(
        StatusEquals="Completed", NameContains=job_name
    )
    assert [item["TrainingJobName"] for item in listed["TrainingJobSummaries"]] == [job_name]
    assert (
        server.client("sagemaker").list_training_jobs(NameContains="no-such")[
            "TrainingJobSummaries"
        ]
        == []
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": "local/none",
                    "TrainingInputMode": "File",
                }
            },
            "containers/none",
        ),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": "local/train",
                    "TrainingInputMode": "Pipe",
                }
            },
            "not implemented: CreateTrainingJob TrainingInputMode Pipe",
        ),
        (
            {"EnableNetworkIsolation": True},
            "not implemented: CreateTrainingJob EnableNetworkIsolation=true",
        ),
        (
            {"RetryStrategy": {"MaximumRetryAttempts": 2}},
            "not implemented: CreateTrainingJob RetryStrategy",
        ),
        (
            {
                "ResourceConfig": {
                    "InstanceType": "ml.g5.16xlarge",
                    "InstanceCount": 2,
                    "VolumeSizeInGB": 10,
                }
            },
            "not implemented: CreateTrainingJob ResourceConfig.InstanceCount 2",
        ),
        (
            {
                "ResourceConfig": {
                    "InstanceGroups": [
                        {
                            "InstanceType": "ml.g5.16xlarge",
                            "InstanceCount": 1,
                            "InstanceGroupName": name,
                        }
                        for name in "ab"
                    ],
                    "VolumeSizeInGB": 10,
                }
            },
            "not implemented: CreateTrainingJob ResourceConfig.InstanceCount None",
        ),
        ({"RoleArn": "arn:aws:iam::000000000000:role/nobody"}, "the role does not exist"),
        (
            {"RoleArn": "arn:aws:iam::000000000000:role/governed-finetune-local-prepare"},
            "'sagemaker.amazonaws.com'",
        ),
    ],
)
def test_what_cannot_run_here_is_refused_by_name(server, job_name, changes, message):
    with pytest.raises(ClientError, match=message):
        server.client("sagemaker").create_training_job(
            TrainingJobName=job_name, **server.train_arguments(**changes)
        )
    with pytest.raises(ClientError, match="ResourceNotFound"):
        server.client("sagemaker").describe_training_job(TrainingJobName=job_name)


def test_what_is_switched_off_by_name_runs(train):
    job = train(EnableNetworkIsolation=False, EnableManagedSpotTraining=False)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


def test_an_unknown_operation_is_reported_as_not_implemented(server):
    with pytest.raises(ClientError, match="not implemented: CreateModel") as refused:
        server.client("sagemaker").create_model(
            ModelName="x", ExecutionRoleArn=server.outputs["TrainRoleArn"]
        )
    assert refused.value.response["Error"]["Code"] == "NotImplementedException"
    with pytest.raises(ClientError, match="not implemented: GET /applications/x/sessions"):
        server.client("emr-serverless").list_sessions(applicationId="x")
