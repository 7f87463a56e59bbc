"""The images' repositories, who runs the register worker, and what is reported when it fails."""

import json

import pytest
import yaml

from pipeline import register_worker
from pipeline.bootstrap import parameters
from pipeline.configuration import config
from pipeline.configuration.file import CONF
from pipeline.doctor import template
from pipeline.local.aws import infrastructure
from pipeline.rights import PRINCIPALS
from tests.compiled_steps import variables

pytestmark = pytest.mark.environment
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/governed-finetune/register@sha256:" + "a" * 64
WORKER = "governed-finetune-dev-register"
EVENTS = "https://lineage.example.com/api/v1/lineage"
PIPELINE = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/governed-finetune-local"


def test_the_services_that_start_the_images_may_pull_them(server):
    """Without its statement, an EMR Serverless application with an own image does not start."""
    ecr = server.client("ecr")
    names = {each["repositoryName"] for each in ecr.describe_repositories()["repositories"]}
    assert names == {
        f"governed-finetune/{name}" for name in ("prepare", "train", "register", "evidence")
    }
    for step, service, action in (
        ("prepare", "emr-serverless.amazonaws.com", "ecr:DescribeImages"),
        ("register", "lambda.amazonaws.com", "ecr:BatchGetImage"),
    ):
        name = f"governed-finetune/{step}"
        policy = json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])
        (statement,) = policy["Statement"]
        assert statement["Principal"] == {"Service": service}
        assert action in statement["Action"]
        (source,) = statement["Condition"]["ArnLike"].values()
        assert ":us-east-1:000000000000:" in source


def dev(**databricks):
    """The configuration of dev with an image, in the stand-in's account."""
    written = yaml.safe_load((CONF / "dev.yaml").read_text())
    written["aws"]["account_id"] = "000000000000"
    written["register"]["image"] = IMAGE
    written["waits"] = {"register_seconds": 40_000}
    written["openlineage"] = {"transport": "http", "url": EVENTS}
    written["databricks"] |= databricks
    return config.parse(yaml.safe_dump(written), "dev", variables())


def test_a_lambda_takes_the_queues_messages_with_the_workers_own_settings(new_server):
    """The function's environment is the command line that `pipeline.register_worker` composes."""
    configured = dev()
    new_server.start()
    infrastructure.deploy(new_server.client("cloudformation"), given_for(configured))
    found, given = function_of(new_server)
    expected = settings_of(configured)
    assert given.pop("QUEUE_URL").endswith("/" + expected.pop("QUEUE_URL").rpartition("/")[2])
    assert given.pop("GOVERNED_FINETUNE_LOGGING") == "json:INFO"
    assert given["OPENLINEAGE"] == EVENTS
    assert given == expected
    functions = new_server.client("lambda")
    (mapping,) = functions.list_event_source_mappings(FunctionName=WORKER)["EventSourceMappings"]
    assert mapping["EventSourceArn"].endswith(":governed-finetune-dev-register")
    assert (mapping["BatchSize"], mapping["FunctionResponseTypes"]) == (
        1,
        ["ReportBatchItemFailures"],
    )
    queue = new_server.client("sqs")
    url = queue.get_queue_url(QueueName="governed-finetune-dev-register")["QueueUrl"]
    hidden = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert int(hidden["Attributes"]["VisibilityTimeout"]) >= found["Timeout"]
    assert retention(new_server, f"/aws/lambda/{WORKER}") == 365
    ids = {name: f"00000000-0000-0000-0000-{n:012}" for n, name in enumerate(PRINCIPALS)}
    federated = dev(identity="federated", client_ids=ids)
    infrastructure.deploy(new_server.client("cloudformation"), given_for(federated))
    identity = function_of(new_server)[1]["DATABRICKS_SECRET_ID"]
    assert identity == settings_of(federated)["DATABRICKS_SECRET_ID"]
    assert identity == f"federated:{ids['register']}"


def function_of(server):
    """The worker's function, and its variables."""
    found = server.client("lambda").get_function_configuration(FunctionName=WORKER)
    return found, found["Environment"]["Variables"]


def settings_of(configured):
    words = register_worker.arguments(configured)
    given = {
        key.removeprefix("--").replace("-", "_").upper(): value
        for key, value in zip(words[::2], words[1::2], strict=True)
    }
    del given["REGION"]  # Lambda itself sets AWS_REGION
    return given


def given_for(configured):
    """The parameters that bootstrap gives to compute."""
    declared = template.declared(infrastructure.FOLDER / "compute.yaml")
    return parameters.of(configured, declared, {"WorkerKind": "lambda"}, {})


def test_a_lambda_without_its_image_is_refused_before_anything_changes(server):
    with pytest.raises(infrastructure.DeploymentFailed, match="RegisterImage is needed"):
        infrastructure.deploy_layer(
            server.client("cloudformation"),
            infrastructure.FOLDER / "compute.yaml",
            server.outputs | {"WorkerKind": "lambda"},
        )


def test_the_logs_of_the_jobs_have_an_end(server):
    assert retention(server, "/aws/sagemaker/TrainingJobs") == 365
    assert retention(server, "/aws/emr-serverless") == 365


def test_the_topic_gets_a_waiting_registration_and_of_dead_letters(server):
    alarms = server.client("cloudwatch").describe_alarms()["MetricAlarms"]
    watched = {
        (alarm["MetricName"], alarm["Dimensions"][0]["Value"]): alarm["AlarmActions"]
        for alarm in alarms
    }
    topic = [server.outputs["TopicArn"]]
    assert watched == {
        ("ApproximateAgeOfOldestMessage", "governed-finetune-local-register"): topic,
        ("ApproximateNumberOfMessagesVisible", "governed-finetune-local-register-dead"): topic,
    }


@pytest.mark.parametrize(
    ("status", "pipeline", "sent"),
    [
        ("Failed", PIPELINE, True),
        ("Stopped", PIPELINE, True),
        ("Succeeded", PIPELINE, False),
        ("Failed", PIPELINE + "-other", False),
    ],
)
def test_the_topic_gets_a_rejected_or_failed_execution(server, status, pipeline, sent):
    events = server.client("events")
    rule = events.describe_rule(Name="governed-finetune-local-failed")
    event = {
        "id": "1",
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
        "account": "000000000000",
        "time": "2026-11-29T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {"pipelineArn": pipeline, "currentPipelineExecutionStatus": status},
    }
    answer = events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(event))
    assert answer["Result"] is sent
    targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert [target["Arn"] for target in targets] == [server.outputs["TopicArn"]]


def test_the_dashboard_shows_this_environments_queues_worker_and_pipeline(server):
    """A metric names its resource as the other layers make it; the rest of a name is AWS's."""
    name = "governed-finetune-local"
    found = server.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
    widgets = json.loads(found)["widgets"]
    assert len({(each["x"], each["y"]) for each in widgets}) == len(widgets) == 6
    assert {each["properties"]["region"] for each in widgets} == {"us-east-1"}
    shown = {metric[3] for each in widgets for metric in each["properties"]["metrics"]}
    assert shown == {
        *(".", name, f"{name}-prepare"),
        *(f"{name}-register", f"{name}-register-dead"),
    }
    queues = server.made("AWS::SQS::Queue")
    assert {url.rpartition("/")[2] for url in queues} <= shown


def retention(server, group):
    found = server.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    (days,) = [each["retentionInDays"] for each in found if each["logGroupName"] == group]
    return days


def test_compute_with_a_lambda_is_made_again_after_its_removal(new_server):
    """Its log outlives it, so the log is of the layer that stays."""
    new_server.start()
    cloudformation = new_server.client("cloudformation")
    given = given_for(dev())
    infrastructure.deploy(cloudformation, given)
    outputs = stack_outputs(cloudformation, "governed-finetune-dev-network")
    name = "governed-finetune-dev-compute"
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
    )
    assert retention(new_server, f"/aws/lambda/{WORKER}") == 365
    compute = infrastructure.FOLDER / "compute.yaml"
    infrastructure.deploy_layer(cloudformation, compute, outputs | given)
    found, _ = function_of(new_server)
    assert found["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{WORKER}"


def stack_outputs(cloudformation, name):
    found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    return {each["OutputKey"]: each["OutputValue"] for each in found}
