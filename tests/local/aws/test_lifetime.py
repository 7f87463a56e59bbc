"""The account's life: a fast start, an end that leaves no process, and a state that outlives both
kinds of end.
"""

import signal
import subprocess
import sys
import uuid

import psutil
import pytest

from pipeline.local.aws import saving

pytestmark = pytest.mark.environment


def test_it_answers_after_less_than_two_seconds_of_a_processor(new_server):
    new_server.start()
    used = psutil.Process(new_server.process.pid).cpu_times()
    assert used.user + used.system < 2.0
    assert new_server.stop() == 0


def test_a_taken_port_is_named_and_the_exit_code_is_2(new_server):
    new_server.start()
    command = [
        sys.executable,
        "-m",
        "pipeline.local.aws",
        "--port",
        str(new_server.port),
        "--state",
    ]
    second = subprocess.run(
        [*command, str(new_server.state / "other")], capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert second.stderr == (
        f"port {new_server.port}: expected a free port, got one in use; choose another with "
        "--port\n"
    )


def test_everything_is_there_again_after_an_orderly_end(own_server):
    server = own_server
    s3, secrets = server.client("s3"), server.client("secretsmanager")
    for body in (b"first", b"second"):
        s3.put_object(Bucket=server.outputs["ArtifactsBucket"], Key="base-models/m", Body=body)
    secrets.put_secret_value(
        SecretId="governed-finetune-local/databricks/train", SecretString="kept"
    )
    arn = server.start_execution(MaxEvalLoss="0.01")
    assert server.finished(arn) == "Failed"
    before, name = (
        server.steps(arn),
        server.steps(arn)["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1],
    )
    lines, outputs, root = server.training_log(name), dict(server.outputs), server.root

    assert server.stop() == 0
    assert saving.is_confirmed(server.state / "aws")
    server.start()
    assert not saving.is_confirmed(server.state / "aws"), "the mark of the last end is left"

    assert server.root == root
    assert server.steps(arn) == before
    assert server.training_log(name) == lines
    s3 = server.client("s3", "train")  # the role is back, and its policy
    assert (
        s3.get_object(Bucket=outputs["ArtifactsBucket"], Key="base-models/m")["Body"].read()
        == b"second"
    )
    check_versions(server, outputs["ArtifactsBucket"])
    mine = server.client("secretsmanager", "train").get_secret_value(
        SecretId="governed-finetune-local/databricks/train"
    )
    assert mine["SecretString"] == "kept"
    server.deploy()  # nothing to do, and the same outputs
    assert server.outputs == outputs
    again = server.start_execution()
    (message,) = server.messages(again)
    server.answer(message["token"])
    assert server.finished(again) == "Succeeded"


def test_a_state_that_cannot_be_saved_is_reported_at_the_end(own_server):
    server = own_server
    services = server.state / "aws" / "services"
    services.rename(server.state / "moved")
    services.write_text("a file where ministack expects its folder")
    assert server.stop() == 1
    assert not saving.is_confirmed(server.state / "aws")


def test_an_object_that_was_not_stored_is_reported_at_the_end(own_server):
    server = own_server
    bucket = server.outputs["ArtifactsBucket"]
    objects = server.state / "aws" / "s3"
    objects.write_text("a file where ministack expects a folder")
    server.client("s3").put_object(Bucket=bucket, Key="base-models/m", Body=b"lost")
    assert server.stop() == 1
    assert not saving.is_confirmed(server.state / "aws")


def check_versions(server, bucket):
    """Check that both versions of the object are there."""
    versions = server.client("s3").list_object_versions(Bucket=bucket, Prefix="base-models/m")
    assert len(versions["Versions"]) == 2
    old = next(version["VersionId"] for version in versions["Versions"] if not version["IsLatest"])
    found = server.client("s3").get_object(Bucket=bucket, Key="base-models/m", VersionId=old)
    assert found["Body"].read() == b"first"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("step", ["Prepare", "Train"])
def test_no_job_outlives_the_server_and_its_execution_fails(own_server, number, step):
    server = own_server
    arn = server.start_execution(**{step: "sleep family" if step == "Train" else "sleep"})
    server.eventually(lambda: len(server.job_processes()) >= (3 if step == "Train" else 2))
    server.eventually(lambda: server.steps(arn).get(step, {}).get("StepStatus") == "Executing")
    # The checkpoint that a SIGKILL needs
    server.eventually(lambda: (server.state / "aws/services/iam.json").exists())

    code = server.stop(number)

    assert code == (-number if number == signal.SIGKILL else 0)
    server.eventually(lambda: server.job_processes() == [], 3)
    server.start()
    described = server.client("sagemaker", "scientist").describe_pipeline_execution(
        PipelineExecutionArn=arn
    )
    assert described["PipelineExecutionStatus"] == "Failed"
    assert "the embedded environment ended while this execution ran" in described["FailureReason"]
    steps = server.steps(arn)
    assert steps[step]["StepStatus"] == "Failed"
    if step == "Train":
        name = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
        job = server.client("sagemaker").describe_training_job(TrainingJobName=name)
        assert (job["TrainingJobStatus"], "environment ended" in job["FailureReason"]) == (
            "Failed",
            True,
        )


def test_an_interrupted_execution_can_be_retried(own_server):
    server = own_server
    arn = server.start_execution()
    (message,) = server.messages(arn)
    server.stop()
    server.start()
    register = server.client("sagemaker", "register")
    with pytest.raises(
        register.exceptions.ConflictException
    ):  # the old token answers nothing any more
        server.answer(message["token"])
    server.client("sagemaker", "scientist").retry_pipeline_execution(
        PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex
    )
    (second,) = server.messages(arn)
    assert second["token"] != message["token"]
    server.answer(second["token"])
    assert server.finished(arn) == "Succeeded"


def test_a_full_disk_fails_the_job_with_its_reason(server, job_name):
    sagemaker = server.client("sagemaker")
    arguments = server.train_arguments(
        HyperParameters={"do": "crash [Errno 28] No space left on device"}
    )
    sagemaker.create_training_job(TrainingJobName=job_name, **arguments)
    server.eventually(
        lambda: (
            sagemaker.describe_training_job(TrainingJobName=job_name)["TrainingJobStatus"]
            == "Failed"
        )
    )
    reason = sagemaker.describe_training_job(TrainingJobName=job_name)["FailureReason"]
    assert (
        reason == "AlgorithmError: RuntimeError: [Errno 28] No space left on device, exit code: 1"
    )
