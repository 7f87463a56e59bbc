"""AWS's services use a job's role themselves: each right that it lacks fails the job by name."""

import uuid

import pytest

from tests.local.aws.support.forgotten_right import without

pytestmark = pytest.mark.environment
PREFIX = "governed-finetune-local"
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
LOG = ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
SUBNETS = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}


def trained(server, name, **changes):
    """The end of a training job."""
    sagemaker = server.client("sagemaker")
    sagemaker.create_training_job(TrainingJobName=name, **server.train_arguments(**changes))
    server.eventually(
        lambda: (
            sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
            not in ("InProgress", "Stopping")
        ),
        30,
    )
    return sagemaker.describe_training_job(TrainingJobName=name)


def prepared(server):
    """The end of a job run."""
    emr = server.client("emr-serverless")
    job = server.prepare_arguments()["JobConfig"]
    run = emr.start_job_run(
        applicationId=server.outputs["ApplicationId"],
        executionRoleArn=server.outputs["PrepareRoleArn"],
        clientToken=uuid.uuid4().hex,
        jobDriver=job["jobDriver"],
    )
    names = {key: run[key] for key in ("applicationId", "jobRunId")}
    ended = ("SUCCESS", "FAILED", "CANCELLED")
    server.eventually(lambda: emr.get_job_run(**names)["jobRun"]["state"] in ended, 60)
    return emr.get_job_run(**names)["jobRun"]


@pytest.mark.parametrize(
    "action", ["ecr:GetAuthorizationToken", *PULL, *LOG, "cloudwatch:PutMetricData"]
)
def test_a_training_job_whose_role_lacks_a_right_of_sagemaker_fails_and_names_it(
    server, job_name, action
):
    with without(server, "train", action):
        job = trained(server, job_name)
    assert job["TrainingJobStatus"] == "Failed"
    user = f"User: arn:aws:sts::000000000000:assumed-role/{PREFIX}-train/SageMaker"
    assert f"{user} is not authorized to perform: {action} on resource: " in job["FailureReason"]
    pulling = "ClientError: Cannot pull algorithm container. Either the image does not exist"
    assert job["FailureReason"].startswith(pulling) is action.startswith("ecr:")
    assert not (server.state / "aws/jobs" / job_name / "log").exists()  # before it ran


def test_a_training_job_needs_only_the_rights_that_it_uses(server, job_name):
    """No metric definitions, no metrics; an image outside ECR, no pull with the role."""
    algorithm = {"TrainingImage": "local/train", "TrainingInputMode": "File"}
    rights = ("cloudwatch:PutMetricData", "ecr:BatchGetImage")
    with without(server, "train", rights[0]), without(server, "train", rights[1]):
        job = trained(server, job_name, AlgorithmSpecification=algorithm)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


def test_a_job_in_subnets_whose_role_lacks_the_rights_of_a_vpc_fails_and_names_the_first(
    server, job_name
):
    job = trained(server, job_name, VpcConfig=SUBNETS)
    assert "not authorized to perform: ec2:CreateNetworkInterface on" in job["FailureReason"]


def test_an_image_of_another_repository_cannot_be_pulled(server, job_name):
    algorithm = server.train_arguments()["AlgorithmSpecification"]
    image = algorithm["TrainingImage"].replace("000000000000", "111122223333")
    changed = algorithm | {"TrainingImage": image}
    job = trained(server, job_name, AlgorithmSpecification=changed)
    assert "ecr:us-east-1:111122223333:repository/governed-finetune/train" in job["FailureReason"]


@pytest.mark.parametrize("action", ["logs:DescribeLogGroups", *LOG])
def test_a_job_run_whose_role_lacks_a_right_of_emr_serverless_fails_and_names_it(server, action):
    with without(server, "prepare", action):
        run = prepared(server)
    assert run["state"] == "FAILED"
    user = f"User: arn:aws:sts::000000000000:assumed-role/{PREFIX}-prepare/EMRServerless"
    refusal = f"{user} is not authorized to perform: {action} on resource: "
    assert run["stateDetails"].startswith(f"Job failed to start: {refusal}")


@pytest.mark.parametrize(
    "action",
    [
        *("events:DescribeRule", "events:PutRule", "events:PutTargets"),
        "emr-serverless:GetApplication",
    ],
)
def test_an_execution_whose_role_lacks_a_right_of_pipelines_fails_and_names_it(server, action):
    with without(server, "pipeline", action):
        arn = server.start_execution()
        assert server.finished(arn) == "Failed"
    (step,) = server.steps(arn).values()
    assert step["StepName"] == "Prepare"
    assert f"{PREFIX}-pipeline/SageMaker-PipelineExecution is not auth" in step["FailureReason"]
    assert f"to perform: {action} " in step["FailureReason"]
