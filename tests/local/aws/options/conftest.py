"""An account with every option of the layers that the embedded environment leaves off."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.local.aws import infrastructure
from tests.local.aws.support.server import Server, make_server

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/governed-finetune/register@sha256:" + "a" * 64
SIEM = "arn:aws:logs:us-east-1:999999999999:destination:siem"
OPTIONS = {
    "DataEvents": "true",
    "WorkerKind": "ecs",
    "RegisterImage": IMAGE,
    "DatabricksHost": "https://dbc-1.cloud.databricks.com",
    "DatabricksSecretId": "governed-finetune-local/databricks/register",
    "SiemDestinationArn": SIEM,
    "RotationAdminSecret": "bank/databricks-admin",
}


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the layers deployed so. Tests put back what they take."""
    found = make_server(tmp_path_factory.mktemp("whole"))
    found.start()
    try:
        outputs = infrastructure.deploy(found.client("cloudformation"), OPTIONS)
        found.outputs.update(outputs)
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="session")
def config() -> Any:
    """What the doctor of layers reads of a configuration."""
    aws = SimpleNamespace(region="us-east-1", account_id=infrastructure.ACCOUNT_ID)
    return SimpleNamespace(environment=infrastructure.ENVIRONMENT, aws=aws)
