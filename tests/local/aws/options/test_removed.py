"""What the options make is named when it is gone: one after the other, in a new account."""

from typing import Any

import pytest

from pipeline.doctor import layers
from pipeline.doctor.check import MISSING, OK
from pipeline.local.aws import infrastructure
from tests.local.aws.options.conftest import OPTIONS
from tests.local.aws.support.server import Server

pytestmark = pytest.mark.environment
NAME = "governed-finetune-local"


@pytest.fixture
def account(new_server: Server) -> Server:
    new_server.start()
    infrastructure.deploy(new_server.client("cloudformation"), OPTIONS)
    return new_server


def test_each_is_named_when_it_is_gone(account: Server, config: Any) -> None:
    before: set[str] = set()
    for named, service, call, arguments in (
        ("CloudTrail::Trail Trail", "cloudtrail", "delete_trail", {"Name": NAME}),
        (
            "ECS::Service WorkerService",
            "ecs",
            "delete_service",
            {"cluster": NAME, "service": f"{NAME}-register", "force": True},
        ),
        (
            "ECS::TaskDefinition WorkerTask",
            "ecs",
            "deregister_task_definition",
            {"taskDefinition": f"{NAME}-register:1"},
        ),
        ("ECS::Cluster WorkerCluster", "ecs", "delete_cluster", {"cluster": NAME}),
        (
            "Logs::LogGroup ContainerLogs",
            "logs",
            "delete_log_group",
            {"logGroupName": f"/ecs/{NAME}-register"},
        ),
    ):
        getattr(account.client(service), call)(**arguments)
        found = {c.name: c for c in layers.checked(config, account.client) if c.state != OK}
        new = found.keys() - before
        assert len(new) == 1, (named, new)
        (one,) = (found[name] for name in new)
        assert one.name.startswith(named)
        assert one.state == MISSING
        assert "aws cloudformation deploy" in one.fix
        before |= new
