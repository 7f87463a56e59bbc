"""Every call by which the scientist's role could pass the gate or move an alias: all refused."""

import json
import uuid

import pytest

from tests.local.aws.support.refusals import refused

pytestmark = pytest.mark.environment
PIPELINE = "governed-finetune-local"
EVIDENCE, ARTIFACTS = (
    f"{PIPELINE}-{name}-000000000000-us-east-1" for name in ("evidence", "artifacts")
)
OTHER_ROLES = ("pipeline", "prepare", "train", "register", "ci", "approver", "auditor")


def test_the_scientist_changes_no_pipeline(server):
    sagemaker = server.client("sagemaker", "scientist")
    definition, role = json.dumps(server.definition()), server.outputs["PipelineRoleArn"]
    given = {"PipelineDefinition": definition, "RoleArn": role}
    refused(sagemaker.update_pipeline, PipelineName=PIPELINE, PipelineDefinition=definition)
    for name in (PIPELINE, "mine"):
        refused(sagemaker.create_pipeline, PipelineName=name, **given)
    refused(sagemaker.delete_pipeline, PipelineName=PIPELINE, ClientRequestToken=uuid.uuid4().hex)
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:pipeline/{PIPELINE}"
    refused(sagemaker.add_tags, ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])


def test_the_scientist_starts_no_job_and_passes_no_role(server, job_name):
    sagemaker = server.client("sagemaker", "scientist")
    for name in (job_name, f"pipelines-{uuid.uuid4().hex[:12]}-Train-x"):
        refused(sagemaker.create_training_job, TrainingJobName=name, **server.train_arguments())
    refused(
        server.client("emr-serverless", "scientist").start_job_run,
        applicationId=server.outputs["ApplicationId"],
        executionRoleArn=server.outputs["PrepareRoleArn"],
        jobDriver={"sparkSubmit": {"entryPoint": "local:///x"}},
    )


def test_the_scientist_answers_no_callback_and_sends_takes_and_removes_no_message(server):
    sagemaker = server.client("sagemaker", "scientist")
    refused(sagemaker.send_pipeline_execution_step_success, CallbackToken="a" * 10)
    refused(sagemaker.send_pipeline_execution_step_failure, CallbackToken="a" * 10)
    sqs, url = server.client("sqs", "scientist"), server.outputs["RegisterQueueUrl"]
    refused(sqs.send_message, QueueUrl=url, MessageBody="{}")
    refused(sqs.receive_message, QueueUrl=url)
    refused(sqs.delete_message, QueueUrl=url, ReceiptHandle="x")
    refused(sqs.set_queue_attributes, QueueUrl=url, Attributes={"VisibilityTimeout": "1"})


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        *((EVIDENCE, f"executions/i/{step}/manifest.json") for step in ("prepare", "train/job")),
        (EVIDENCE, "executions/i/register/record.json"),
        (EVIDENCE, "ledger/000000000001.json"),
        (EVIDENCE, "approvals/a.b.c/1/1.json"),
        (ARTIFACTS, "executions/i/output/model.tar.gz"),
        (ARTIFACTS, "checkpoints/i/train/state"),
        (ARTIFACTS, "base-models/m/r/mirror.json"),
    ],
)
def test_the_scientist_writes_and_removes_no_evidence_and_no_artifact(server, bucket, key):
    s3 = server.client("s3", "scientist")
    refused(s3.put_object, Bucket=bucket, Key=key, Body=b"{}", IfNoneMatch="*")
    refused(s3.put_object, Bucket=bucket, Key=key, Body=b"{}")
    refused(s3.delete_object, Bucket=bucket, Key=key)


def test_the_scientist_signs_nothing_and_has_no_other_identity(server):
    kms = server.client("kms", "scientist")
    for key in ("register", "approval"):
        alias = f"arn:aws:kms:us-east-1:000000000000:alias/{PIPELINE}-{key}"
        request = {"Message": b"text", "SigningAlgorithm": "ECDSA_SHA_256"}
        refused(kms.sign, KeyId=alias, **request)
    secrets = server.client("secretsmanager", "scientist")
    for principal in ("prepare", "train", "register", "approver", "auditor"):
        refused(secrets.get_secret_value, SecretId=f"{PIPELINE}/databricks/{principal}")


@pytest.mark.parametrize("role", OTHER_ROLES)
def test_the_scientist_assumes_no_other_role(server, role):
    arn = f"arn:aws:iam::000000000000:role/{PIPELINE}-{role}"
    sts = server.client("sts", "scientist")
    refused(sts.assume_role, RoleArn=arn, RoleSessionName="me")


def test_the_scientist_starts_with_no_other_role(server):
    """The stand-in does not serve it. AWS refuses a RoleArn for a pipeline of one's own."""
    start = server.client("sagemaker", "scientist").start_pipeline_execution
    given = {"RoleArn": "arn:aws:iam::000000000000:role/another"}
    assert "RoleArn" in refused(start, "", PipelineName=PIPELINE, **given)


def test_an_older_version_can_be_started_and_is_named(server):
    """IAM has no condition for it. The ceilings of the worker hold for each version, and the record
    has the version and its definition's digest (decision 037).
    """
    sagemaker = server.client("sagemaker", "scientist")
    start = sagemaker.start_pipeline_execution
    refused(start, "ResourceNotFound", PipelineName=PIPELINE, PipelineVersionAlias="nobody-set-it")
    arn = start(PipelineName=PIPELINE, PipelineVersionId=1)["PipelineExecutionArn"]
    described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert described["PipelineVersionId"] == 1
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert server.finished(arn) == "Stopped"


def test_an_update_and_a_retry_change_neither_definition_nor_parameters(server):
    """The gate compares with the values that the execution was started with.

    A scientist may retry; the update is an administrator's, and the worker's for the description.
    """
    sagemaker = server.client("sagemaker", "scientist")
    arn = server.start_execution(Prepare="crash", MaxEvalLoss="0.01")
    assert server.finished(arn) == "Failed"
    before = _started_with(sagemaker, arn)
    refused(sagemaker.update_pipeline_execution, PipelineExecutionArn=arn)
    server.client("sagemaker").update_pipeline_execution(
        PipelineExecutionArn=arn,
        PipelineExecutionDescription="mine",
        ParallelismConfiguration={"MaxParallelExecutionSteps": 1},
    )
    sagemaker.retry_pipeline_execution(
        PipelineExecutionArn=arn,
        ClientRequestToken=uuid.uuid4().hex,
        ParallelismConfiguration={"MaxParallelExecutionSteps": 9},
    )
    assert server.finished(arn) == "Failed"
    assert _started_with(sagemaker, arn) == before
    assert set(server.steps(arn)) == {"Prepare"}


def _started_with(sagemaker, arn):
    named = {"PipelineExecutionArn": arn}
    text = sagemaker.describe_pipeline_definition_for_execution(**named)["PipelineDefinition"]
    return text, sagemaker.list_pipeline_parameters_for_execution(**named)["PipelineParameters"]
