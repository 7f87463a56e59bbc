"""Who may do what: the stack's policies as the embedded account enforces them, one refusal per
right that is missing.
"""

import json
import urllib.error
import urllib.request
import uuid

import pytest
from botocore.exceptions import ClientError

from pipeline.local.setup.grants import PRINCIPALS
from tests.local.aws.support.refusals import refused

# ruff: noqa: S310  # the URLs are the server's own
pytestmark = pytest.mark.environment
PIPELINE = "governed-finetune-local"
GOVERNED = "governed-finetune-local-governed-000000000000-us-east-1"


@pytest.fixture(scope="module")
def waiting(server):
    """An execution that waits for the worker's answer."""
    arn = server.start_execution()
    (message,) = server.messages(arn)
    yield arn, message["token"]
    server.answer(message["token"])
    server.finished(arn)


@pytest.mark.parametrize(
    "role", ["prepare", "train", "register", "ci", "scientist", "auditor", "approver"]
)
def test_only_the_pipeline_sends_registrations(server, role):
    url = server.outputs["RegisterQueueUrl"]
    refused(server.client("sqs", role).send_message, QueueUrl=url, MessageBody="{}")


@pytest.mark.parametrize(
    "role", ["pipeline", "prepare", "train", "ci", "scientist", "auditor", "approver", "reconciler"]
)
def test_only_the_worker_receives_registrations(server, role):
    refused(server.client("sqs", role).receive_message, QueueUrl=server.outputs["RegisterQueueUrl"])


@pytest.mark.parametrize(
    "role", ["pipeline", "prepare", "train", "ci", "scientist", "auditor", "approver", "reconciler"]
)
def test_only_the_worker_answers(server, waiting, role):
    sagemaker = server.client("sagemaker", role)
    refused(sagemaker.send_pipeline_execution_step_success, CallbackToken=waiting[1])
    refused(sagemaker.send_pipeline_execution_step_failure, CallbackToken=waiting[1])


def test_each_identity_is_readable_by_its_own_role(server):
    secrets = server.client("secretsmanager")
    names = {role: f"governed-finetune-local/databricks/{role}" for role in PRINCIPALS}
    for role, name in names.items():
        secrets.put_secret_value(SecretId=name, SecretString=role)
    for role in names:
        own = server.client("secretsmanager", role)
        assert own.get_secret_value(SecretId=names[role])["SecretString"] == role
        for other in names.keys() - {role}:
            refused(own.get_secret_value, SecretId=names[other])


def test_a_pipeline_role_is_passed_only_by_who_may_and_only_if_it_trusts_sagemaker(server):
    definition = json.dumps(server.definition())
    update = server.client("sagemaker", "ci").update_pipeline
    update(
        PipelineName=PIPELINE,
        PipelineDefinition=definition,
        RoleArn=server.outputs["PipelineRoleArn"],
    )
    message = refused(update, PipelineName=PIPELINE, RoleArn=server.outputs["TrainRoleArn"])
    assert f"iam:PassRole on resource: {server.outputs['TrainRoleArn']}" in message
    untrusting = server.client("sagemaker").update_pipeline
    with pytest.raises(ClientError, match=r"allows principal 'sagemaker\.amazonaws\.com'"):
        untrusting(PipelineName=PIPELINE, RoleArn=server.outputs["PrepareRoleArn"])


def role_without_pass_role(server):
    """Create a role that SageMaker may assume and that may not pass a role; return its ARN."""
    iam, name = server.client("iam"), "governed-finetune-local-weak"
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    services = ["emr-serverless:*", "sagemaker:*", "events:*"]
    policy = {"Effect": "Allow", "Action": services, "Resource": "*"}
    documents = [
        json.dumps({"Version": "2012-10-17", "Statement": item}) for item in (trust, policy)
    ]
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=documents[0])["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=documents[1])
    return role


def test_a_pipeline_role_without_pass_role_fails_the_step_that_needs_it(server):
    role = role_without_pass_role(server)
    sagemaker = server.client("sagemaker")
    sagemaker.create_pipeline(
        PipelineName="weak", PipelineDefinition=json.dumps(server.definition()), RoleArn=role
    )
    arn = sagemaker.start_pipeline_execution(PipelineName="weak")["PipelineExecutionArn"]
    server.eventually(
        lambda: (
            sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)[
                "PipelineExecutionStatus"
            ]
            == "Failed"
        )
    )
    (step,) = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)[
        "PipelineExecutionSteps"
    ]
    assert step["FailureReason"].startswith(
        "ClientError: Failed to invoke StartJobRun. Error Details: AccessDenied"
    )
    assert (
        "governed-finetune-local-weak/SageMaker-PipelineExecution is not authorized"
        in step["FailureReason"]
    )
    assert "iam:PassRole" in step["FailureReason"]
    refused(server.client("sagemaker", "scientist").start_pipeline_execution, PipelineName="weak")
    refused(
        server.client("sagemaker", "scientist").describe_pipeline_execution,
        PipelineExecutionArn=arn,
    )


def test_rights_depend_on_the_resource(server, waiting, job_name):
    arn, _ = waiting
    scientist, ci = server.client("sagemaker", "scientist"), server.client("sagemaker", "ci")
    refused(scientist.update_pipeline, PipelineName=PIPELINE, PipelineDescription="mine now")
    refused(scientist.create_training_job, TrainingJobName=job_name, **server.train_arguments())
    refused(ci.start_pipeline_execution, PipelineName=PIPELINE)
    refused(
        ci.stop_pipeline_execution, PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex
    )
    refused(
        ci.create_pipeline,
        PipelineName="other",
        RoleArn=server.outputs["PipelineRoleArn"],
        PipelineDefinition="{}",
    )
    pipeline = server.client("sagemaker", "pipeline")
    refused(
        pipeline.create_training_job,
        TrainingJobName="not-of-a-pipeline",
        **server.train_arguments(),
    )
    emr = server.client("emr-serverless", "pipeline")
    refused(emr.get_job_run, applicationId="another", jobRunId="x")
    refused(emr.create_application, name="x", releaseLabel="emr-spark-8.0.0", type="SPARK")
    request = {
        "executionRoleArn": server.outputs["TrainRoleArn"],
        "jobDriver": {"sparkSubmit": {"entryPoint": "local:///x"}},
    }
    refused(emr.start_job_run, applicationId=server.outputs["ApplicationId"], **request)


def test_conditions_on_a_training_job_are_evaluated(server, job_name):
    iam = server.client("iam")
    iam.create_user(UserName="frugal")
    small = {"ForAllValues:StringEquals": {"sagemaker:InstanceTypes": ["ml.g6.2xlarge"]}}
    statements = [
        {
            "Effect": "Allow",
            "Action": "sagemaker:CreateTrainingJob",
            "Resource": "*",
            "Condition": small,
        },
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": server.outputs["TrainRoleArn"]},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="frugal", PolicyName="p", PolicyDocument=policy)
    key = iam.create_access_key(UserName="frugal")["AccessKey"]
    keys = {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
    }
    create = server.client("sagemaker", **keys).create_training_job
    refused(create, TrainingJobName=job_name, **server.train_arguments())
    cheap = {"InstanceType": "ml.g6.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10}
    create(TrainingJobName=job_name, **server.train_arguments(ResourceConfig=cheap))
    tagged = server.train_arguments(ResourceConfig=cheap, Tags=[{"Key": "a", "Value": "b"}])
    assert "sagemaker:AddTags" in refused(create, TrainingJobName=f"{job_name}-2", **tagged)


def test_the_root_key_is_random_and_private(server):
    path = server.state / "aws/root.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert server.root["aws_access_key_id"].startswith("AKIA")


@pytest.mark.parametrize("service", ["sts", "s3", "sagemaker"])
@pytest.mark.parametrize("key", ["test", "000000000000", "root"])
def test_a_key_without_its_secret_has_no_rights(server, service, key):
    root = server.root
    names = {"root": root["aws_access_key_id"]}
    keys = {"aws_access_key_id": names.get(key, key), "aws_secret_access_key": "test"}
    call = {"sts": "get_caller_identity", "s3": "list_buckets", "sagemaker": "list_pipelines"}[
        service
    ]
    with pytest.raises(
        ClientError, match=r"Signature|InvalidAccessKeyId|InvalidClientTokenId|UnrecognizedClient"
    ):
        getattr(server.client(service, **keys), call)()


@pytest.mark.parametrize(
    "path",
    ["/_ministack/reset", "/_ministack/config", "/_ministack/eks-auth/x", "/_aws/sqs/messages"],
)
def test_unsigned_paths_are_closed(server, path):
    request = urllib.request.Request(server.endpoint + path, data=b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="403") as error:
        urllib.request.urlopen(request, timeout=5)
    error.value.close()
    assert GOVERNED in [bucket["Name"] for bucket in server.client("s3").list_buckets()["Buckets"]]


def test_an_unsigned_request_starts_nothing(server):
    headers = {
        "X-Amz-Target": "SageMaker.ListPipelines",
        "Content-Type": "application/x-amz-json-1.1",
    }
    request = urllib.request.Request(server.endpoint, data=b"{}", headers=headers, method="POST")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=5)
    assert error.value.code in (400, 403)
    assert b"MissingAuthenticationToken" in error.value.read()
    error.value.close()
