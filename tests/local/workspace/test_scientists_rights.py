"""The scientist's grants as they are seeded: none changes a version, alias or tag of a model."""

from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied

from pipeline.local.setup.grants import GRANTS
from tests.local.workspace.support.workspace_client import (
    Principal,
    Workspace,
    create_version,
    new_principal,
)

pytestmark = pytest.mark.environment
MODEL = "edgar.models.guarded"
_MLFLOW = "/api/2.0/mlflow/unity-catalog"
_UC = f"/api/2.1/unity-catalog/models/{MODEL}"
_TAG = {"name": MODEL, "key": "Approval", "value": "Approved"}

CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "create a version": (
        "POST",
        f"{_MLFLOW}/model-versions/create",
        {"name": MODEL, "source": "s3://elsewhere/model"},
    ),
    "create a model": ("POST", f"{_MLFLOW}/registered-models/create", {"name": f"{MODEL}_2"}),
    "set an alias": ("PUT", f"{_UC}/aliases/champion", {"version_num": 1}),
    "delete an alias": ("DELETE", f"{_UC}/aliases/champion", {}),
    "set an alias with mlflow": (
        "POST",
        f"{_MLFLOW}/registered-models/alias",
        {"name": MODEL, "alias": "champion", "version": "1"},
    ),
    "tag the version": ("POST", f"{_MLFLOW}/model-versions/set-tag", _TAG | {"version": "1"}),
    "tag the model": ("POST", f"{_MLFLOW}/registered-models/set-tag", _TAG),
    "delete the version": ("DELETE", f"{_UC}/versions/1", {}),
    "change the owner": ("PATCH", _UC, {"owner": "me"}),
    "grant itself more": (
        "PATCH",
        "/api/2.1/unity-catalog/permissions/SCHEMA/edgar.models",
        {"changes": [{"principal": "account users", "add": ["MANAGE"]}]},
    ),
}


@pytest.fixture(scope="module")
def scientist(workspace: Workspace, admin: WorkspaceClient) -> Principal:
    """A principal with the scientist's grants of the embedded catalog, and a model of another."""
    catalog, schema, name = MODEL.split(".")
    admin.registered_models.create(catalog_name=catalog, schema_name=schema, name=name)
    create_version(admin, MODEL)
    grants = {
        (grant.kind.upper(), grant.name): list(grant.privileges)
        for grant in GRANTS
        if grant.principal == "scientist"
    }
    return new_principal(workspace, grants)


@pytest.mark.parametrize("call", CALLS)
def test_the_scientist_cannot(scientist: Principal, call: str) -> None:
    method, path, body = CALLS[call]
    with pytest.raises(PermissionDenied):
        scientist.client.api_client.do(method, path, body=body)
