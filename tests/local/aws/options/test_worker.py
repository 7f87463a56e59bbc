"""The register worker as a task of ECS: the image's own entry point, with the same settings."""

import json
from typing import Any

import pytest
import yaml

from pipeline import register_worker
from pipeline.bootstrap import parameters
from pipeline.configuration import config as configuration
from pipeline.configuration.file import CONF
from pipeline.doctor import template
from pipeline.local.aws import infrastructure
from steps.register import arguments
from tests.compiled_steps import variables
from tests.local.aws.options.conftest import IMAGE, OPTIONS
from tests.local.aws.support.server import Server

pytestmark = pytest.mark.environment
NAME = "governed-finetune-local"


def test_its_command_is_the_one_that_the_configuration_composes(new_server: Server) -> None:
    written = yaml.safe_load((CONF / "dev.yaml").read_text())
    written["aws"]["account_id"] = "000000000000"
    written["register"] |= {"image": IMAGE, "compute": "ecs"}
    configured = configuration.parse(yaml.safe_dump(written), "dev", variables())
    declared = [
        name
        for layer in infrastructure.LAYERS
        for name in template.declared(infrastructure.FOLDER / f"{layer}.yaml")
    ]
    given = parameters.of(configured, declared, {}, {})
    assert given["WorkerKind"] == "ecs"
    new_server.start()
    infrastructure.deploy(new_server.client("cloudformation"), given)
    ecs = new_server.client("ecs")
    found = ecs.describe_task_definition(taskDefinition="governed-finetune-dev-register")
    (worker,) = found["taskDefinition"]["containerDefinitions"]
    expected = pairs(register_worker.arguments(configured))
    waits = str(configured.waits.register_seconds)  # conf leaves it out where it is the default
    command = pairs(worker["command"])
    assert command.pop("--health-address") == "127.0.0.1:8080"
    assert expected.pop("--queue-url").endswith(command.pop("--queue-url").rpartition("/")[2])
    assert command.pop("--give-up-after-seconds") == waits
    assert command.pop("--openlineage") == "none"
    assert command == expected
    assert worker["image"] == IMAGE


def pairs(words: list[str]) -> dict[str, str]:
    return dict(zip(words[::2], words[1::2], strict=True))


def task(whole: Server) -> dict[str, Any]:
    found = whole.client("ecs").describe_task_definition(taskDefinition=f"{NAME}-register")
    definition: dict[str, Any] = found["taskDefinition"]
    return definition


def test_the_worker_parses_its_command(whole: Server) -> None:
    (worker,) = task(whole)["containerDefinitions"]
    parsed = arguments.parse(worker["command"])
    assert parsed.health_address == "127.0.0.1:8080"
    assert parsed.metrics == "emf"


def test_it_runs_as_the_register_role_in_private_subnets_and_nobody_calls_it(
    whole: Server,
) -> None:
    definition, ecs = task(whole), whole.client("ecs")
    role = f"arn:aws:iam::000000000000:role/{NAME}"
    assert definition["taskRoleArn"] == f"{role}-register"
    assert definition["executionRoleArn"] == f"{role}-worker-execution"
    (worker,) = definition["containerDefinitions"]
    assert worker["readonlyRootFilesystem"] is True
    assert worker["user"] == "65534:65534"
    assert worker["mountPoints"] == [{"sourceVolume": "scratch", "containerPath": "/scratch"}]
    assert "portMappings" not in worker
    log = worker["logConfiguration"]["options"]["awslogs-group"]
    groups = whole.client("logs").describe_log_groups(logGroupNamePrefix=log)["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [365]
    (service,) = ecs.describe_services(cluster=NAME, services=[f"{NAME}-register"])["services"]
    network = service["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "DISABLED"
    assert network["subnets"] == whole.outputs["SubnetIds"].split(",")
    (group,) = whole.client("ec2").describe_security_groups(GroupIds=network["securityGroups"])[
        "SecurityGroups"
    ]
    assert group["IpPermissions"] == []
    breaker = service["deploymentConfiguration"]["deploymentCircuitBreaker"]
    assert breaker == {"enable": True, "rollback": True}


def test_ecs_without_a_security_group_is_refused_before_anything_changes(server: Server) -> None:
    given = server.outputs | OPTIONS
    del given["WorkerSecurityGroupIds"]
    with pytest.raises(infrastructure.DeploymentFailed, match="WorkerSecurityGroupIds is needed"):
        infrastructure.deploy_layer(
            server.client("cloudformation"), infrastructure.FOLDER / "compute.yaml", given
        )


@pytest.mark.parametrize(
    ("service", "event", "sent"),
    [
        (f"{NAME}-register", "SERVICE_DEPLOYMENT_FAILED", True),
        (f"{NAME}-register", "SERVICE_DEPLOYMENT_COMPLETED", False),
        ("other", "SERVICE_DEPLOYMENT_FAILED", False),
    ],
)
def test_the_topic_gets_a_deployment_that_failed(
    whole: Server, service: str, event: str, sent: bool
) -> None:
    events = whole.client("events")
    rule = events.describe_rule(Name=f"{NAME}-worker-deployment")
    given = {
        "id": "1",
        "source": "aws.ecs",
        "detail-type": "ECS Deployment State Change",
        "account": "000000000000",
        "time": "2026-11-30T00:00:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:ecs:us-east-1:000000000000:service/{NAME}/{service}"],
        "detail": {"eventName": event, "reason": "x"},
    }
    answer = events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(given))
    assert answer["Result"] is sent


def test_the_topic_gets_a_worker_that_stopped(whole: Server) -> None:
    (alarm,) = whole.client("cloudwatch").describe_alarms(AlarmNames=[f"{NAME}-worker-stopped"])[
        "MetricAlarms"
    ]
    names = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    assert names == {"ClusterName": NAME, "ServiceName": f"{NAME}-register"}
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["AlarmActions"] == [whole.outputs["TopicArn"]]
    (cluster,) = whole.client("ecs").describe_clusters(clusters=[NAME], include=["SETTINGS"])[
        "clusters"
    ]
    assert cluster["settings"] == [{"name": "containerInsights", "value": "enabled"}]
