"""What the record repeats of SageMaker's and EMR Serverless' answers: starter, image, bill."""

import uuid

import pytest

from pipeline.local.aws.emr_serverless import billing
from pipeline.local.aws.processes.built_image import built
from tests.local.aws.support.server import PIPELINE

pytestmark = pytest.mark.environment


def started(server, role):
    """Start an execution as a role, and return its description."""
    sagemaker = server.client("sagemaker", role)
    arn = sagemaker.start_pipeline_execution(
        PipelineName=PIPELINE, ClientRequestToken=uuid.uuid4().hex
    )["PipelineExecutionArn"]
    return server.client("sagemaker", "register").describe_pipeline_execution(
        PipelineExecutionArn=arn
    )


def test_an_execution_names_its_starter_after_later_changes(server):
    described = started(server, "scientist")
    caller = server.client("sts", "scientist").get_caller_identity()
    identity = {"Arn": caller["Arn"], "PrincipalId": caller["UserId"]}
    assert described["CreatedBy"]["IamIdentity"] == identity
    # other tests on this server may have updated the pipeline
    assert described["PipelineVersionId"] == started(server, "scientist")["PipelineVersionId"] >= 1
    arn = described["PipelineExecutionArn"]
    server.client("sagemaker", "register").update_pipeline_execution(
        PipelineExecutionArn=arn, PipelineExecutionDescription="waits"
    )
    after = server.client("sagemaker", "scientist").describe_pipeline_execution(
        PipelineExecutionArn=arn
    )
    assert after["CreatedBy"]["IamIdentity"] == identity
    worker = server.client("sts", "register").get_caller_identity()["Arn"]
    assert after["LastModifiedBy"]["IamIdentity"]["Arn"] == worker
    server.client("sagemaker", "scientist").stop_pipeline_execution(PipelineExecutionArn=arn)


def test_root_is_a_starter_without_a_session(server):
    described = started(server, "root")
    assert described["CreatedBy"]["IamIdentity"] == {"Arn": "arn:aws:iam::000000000000:root"}
    server.client("sagemaker").stop_pipeline_execution(
        PipelineExecutionArn=described["PipelineExecutionArn"]
    )


def test_a_job_run_has_its_image_by_digest_and_its_bill(server):
    emr = server.client("emr-serverless")
    submit = server.prepare_arguments("nothing")["JobConfig"]["jobDriver"]["sparkSubmit"]
    run = emr.start_job_run(
        applicationId=server.outputs["ApplicationId"],
        executionRoleArn=server.outputs["PrepareRoleArn"],
        clientToken=uuid.uuid4().hex,
        jobDriver={"sparkSubmit": submit | {"sparkSubmitParameters": "--conf spark.x=1"}},
    )
    names = {key: run[key] for key in ("applicationId", "jobRunId")}
    server.eventually(
        lambda: emr.get_job_run(**names)["jobRun"]["state"] in ("SUCCESS", "FAILED"), seconds=180
    )
    job = emr.get_job_run(**names)["jobRun"]
    image = job["imageConfiguration"]
    application = emr.get_application(applicationId=names["applicationId"])["application"]
    assert image["imageUri"] == application["imageConfiguration"]["imageUri"]
    expected = built(server.repository, server.state / "again", image["imageUri"])
    assert image["resolvedImageDigest"] == expected.digest
    seconds = (job["endedAt"] - job["startedAt"]).total_seconds()
    assert job["totalExecutionDurationSeconds"] == pytest.approx(seconds, abs=1)
    billed = billing.utilization("--conf spark.x=1", seconds)
    assert job["billedResourceUtilization"] == pytest.approx(billed, rel=0.05)


def test_a_worker_is_billed_by_its_size_for_at_least_a_minute():
    conf = {
        "spark.executor.instances": "2",
        "spark.executor.cores": "2",
        "spark.executor.memory": "1024m",
        "spark.driver.cores": "1",
        "spark.driver.memory": "10g",
        "spark.emr-serverless.executor.disk": "30G",
    }
    parameters = " ".join(f"--conf {name}={value}" for name, value in conf.items())
    hour = billing.utilization(parameters, 3600.0)
    assert hour == {"vCPUHour": 5.0, "memoryGBHour": 13.2, "storageGBHour": 20.0}
    assert billing.utilization(parameters, 1.0) == billing.utilization(parameters, 60.0)
    assert billing.utilization("", 3600.0)["vCPUHour"] == 16.0
