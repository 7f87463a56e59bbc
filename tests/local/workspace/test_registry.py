"""mlflow's unchanged client against the workspace and a real mlflow server: register, load, alias,
with minimal rights.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidState, NotFound, PermissionDenied, ResourceAlreadyExists

from tests.local.workspace.support.workspace_client import (
    CATALOG,
    MODEL,
    MODELS,
    Aws,
    Principal,
    Securable,
    Workspace,
    create_version,
    environment,
    fill,
    new_principal,
    permit,
)

NAME = "edgar.models.analyst"
Grants = dict[Securable, list[str]]
Start = Callable[..., "Mlflow"]
REGISTERING: Grants = {CATALOG: ["USE_CATALOG"], MODELS: ["USE_SCHEMA", "CREATE_MODEL"]}


class Mlflow:
    """A principal's own mlflow process."""

    def __init__(self, principal: Principal, variables: dict[str, str], log: Path):
        self.principal = principal
        self._log = log.open("w")
        script = str(Path(__file__).with_name("support") / "mlflow_session.py")
        self._process = subprocess.Popen(
            [sys.executable, script],
            env=variables,
            cwd=log.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def call_client(self, step: str, *arguments: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([step, arguments]), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def do(self, step: str, *arguments: str) -> Any:
        answer = self.call_client(step, *arguments)
        assert "error" not in answer, answer
        return answer["result"]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(20)
        self._log.close()


@pytest.fixture(scope="module")
def tracked(
    start_workspace: Callable[..., Workspace],
    start_tracking: Callable[[], str],
    tmp_path_factory: Any,
) -> Workspace:
    """A workspace whose tracking server starts at the same time."""
    workspace = start_workspace(tmp_path_factory.mktemp("tracked"), tracking=start_tracking())
    fill(workspace)
    return workspace


@pytest.fixture(scope="module")
def admin(tracked: Workspace) -> WorkspaceClient:
    return tracked.admin


@pytest.fixture(scope="module")
def session(tracked: Workspace, aws: Aws, tmp_path_factory: Any) -> Iterator[Callable[..., Mlflow]]:
    """Makes a principal with grants and an mlflow process that is that principal."""
    with ExitStack() as opened:

        def start(grants: Grants, **extra: str) -> Mlflow:
            principal, folder = new_principal(tracked, grants), tmp_path_factory.mktemp("mlflow")
            variables = {
                "HOME": str(folder),
                "DATABRICKS_HOST": tracked.host,
                "DATABRICKS_CLIENT_ID": principal.client_id,
                "DATABRICKS_CLIENT_SECRET": principal.client_secret,
                "DATABRICKS_AUTH_TYPE": "oauth-m2m",
                "AWS_ENDPOINT_URL_S3": aws.endpoint,
                "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
                "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
                "GIT_PYTHON_REFRESH": "quiet",
            }
            started = Mlflow(principal, environment(**variables, **extra), folder / "log")
            opened.callback(started.close)
            return started

        yield start


@pytest.fixture(scope="module")
def owner(session: Start) -> Mlflow:
    """Who registers, with the least that allows it."""
    return session(REGISTERING)


@pytest.fixture(scope="module")
def registered(owner: Mlflow) -> dict[str, str]:
    """A run, its logged model, and version 1 of the registered model."""
    run: dict[str, str] = owner.do("log_run", "/Shared/owner-analyst")
    assert owner.do("register", run["model_uri"], NAME) == {"version": "1", "status": "READY"}
    return run


def test_run_artifacts_go_through_the_files_api(owner: Mlflow, registered: dict[str, str]) -> None:
    assert owner.do("artifacts", registered["run_id"]) == {
        "listed": ["notes/note.txt"],
        "text": "kept",
    }


def test_a_version_keeps_tags_alias_and_description(
    owner: Mlflow, registered: dict[str, str]
) -> None:
    owner.do("change", NAME, "1")
    assert owner.do("alias", NAME, "challenger", "1") == "1"
    assert owner.do("describe", NAME, "1") == {
        "status": "READY",
        "tags": {"gate": "passed"},
        "aliases": ["challenger"],
        "description": "what it is",
    }
    assert owner.do("search", NAME) == ["1"]
    assert owner.do("load", f"models:/{NAME}@challenger") == [2.0, 4.0]


def test_loading_needs_execute_and_both_uses(
    admin: WorkspaceClient, registered: dict[str, str], session: Start
) -> None:
    needs = {CATALOG: "USE_CATALOG", MODELS: "USE_SCHEMA", MODEL: "EXECUTE"}
    mlflow = session({securable: [privilege] for securable, privilege in needs.items()})
    who = mlflow.principal.client_id
    assert mlflow.do("load", f"models:/{NAME}/1") == [2.0, 4.0]
    for securable, privilege in needs.items():
        permit(admin, who, securable, remove=[privilege])
        refusal = mlflow.call_client("load", f"models:/{NAME}/1")
        assert f"User does not have {privilege.replace('_', ' ')} on" in refusal.get("error", ""), (
            refusal
        )
        permit(admin, who, securable, add=[privilege])
    for step in (["alias", NAME, "champion", "1"], ["delete", NAME, "1"]):
        assert "User is not an owner of Routine or Model" in mlflow.call_client(*step)["error"]
    refusal = mlflow.call_client("register", f"models:/{NAME}/1", NAME)
    assert "User does not have CREATE MODEL VERSION on Routine or Model" in refusal["error"]


def test_manage_moves_an_alias_and_deletes_no_version(
    registered: dict[str, str], session: Start
) -> None:
    approver = session({CATALOG: ["USE_CATALOG"], MODELS: ["USE_SCHEMA", "EXECUTE", "MANAGE"]})
    assert approver.do("alias", NAME, "champion", "1") == "1"
    assert "champion" in approver.do("describe", NAME, "1")["aliases"]
    assert "User is not an owner of" in approver.call_client("delete", NAME, "1")["error"]


def test_registering_needs_create_model(
    admin: WorkspaceClient, owner: Mlflow, registered: dict[str, str]
) -> None:
    who = owner.principal.client_id
    permit(admin, who, MODELS, remove=["CREATE_MODEL"])
    refusal = owner.call_client("register", registered["model_uri"], "edgar.models.another")
    assert "User does not have CREATE MODEL on Schema 'edgar.models'" in refusal["error"]
    # An owner needs no more for that
    assert owner.do("register", registered["model_uri"], NAME)["version"] == "2"
    permit(admin, who, MODELS, add=["CREATE_MODEL"])


def test_versions_are_copied_deleted_and_never_numbered_twice(
    owner: Mlflow, registered: dict[str, str]
) -> None:
    name = "edgar.models.copied"
    assert owner.do("copy", f"models:/{NAME}/1", name) == "1"
    owner.do("delete", name, "1")
    assert owner.do("copy", f"models:/{NAME}/1", name) == "2"
    owner.do("delete_model", name)
    assert "does not exist" in owner.call_client("describe", name, "2")["error"]


def test_the_native_surface_registers_and_loads_as_well(session: Start) -> None:
    mlflow = session(REGISTERING, MLFLOW_ENABLE_UC_NATIVE_MODEL_REGISTRY="true")
    run, name = mlflow.do("log_run", "/Shared/native-analyst"), "edgar.models.native"
    assert mlflow.do("register", run["model_uri"], name) == {"version": "1", "status": "READY"}
    mlflow.do("change", name, "1")
    assert mlflow.do("alias", name, "champion", "1") == "1"
    assert mlflow.do("describe", name, "1")["aliases"] == ["champion"]
    assert mlflow.do("load", f"models:/{name}@champion") == [2.0, 4.0]
    assert mlflow.do("search", name) == ["1"]
    mlflow.do("delete", name, "1")


def test_the_sdk_sees_what_mlflow_registered(
    admin: WorkspaceClient, registered: dict[str, str]
) -> None:
    version = admin.model_versions.get(NAME, 1)
    assert (version.version, str(version.status), version.run_id) == (
        1,
        "ModelVersionInfoStatus.READY",
        registered["run_id"],
    )
    assert str(version.storage_location).startswith("s3://governed/models/")
    assert [found.version for found in admin.model_versions.list(NAME)][:1] == [1]
    assert admin.model_versions.get_by_alias(NAME, "challenger").version == 1
    found = admin.api_client.do(
        "GET",
        "/api/2.0/mlflow/unity-catalog/model-versions/search",
        query={"filter": f"name = '{NAME}'"},
    )
    assert [version.keys() & {"tags", "aliases"} for version in found["model_versions"]][:1] == [
        set()
    ]
    assert NAME in [found.full_name for found in admin.registered_models.list()]
    with pytest.raises(ResourceAlreadyExists):
        admin.registered_models.create(name="analyst", catalog_name="edgar", schema_name="models")
    with pytest.raises(NotFound):
        admin.model_versions.get(NAME, 99)


def test_a_pending_version_is_written_by_its_maker_and_a_ready_one_by_nobody(
    tracked: Workspace, aws: Aws, registered: dict[str, str]
) -> None:
    registry = "/api/2.0/mlflow/unity-catalog/model-versions"
    grants = {CATALOG: ["USE_CATALOG"], MODELS: ["USE_SCHEMA", "CREATE_MODEL_VERSION"]}
    maker = new_principal(tracked, grants).client
    pending = create_version(maker)
    assert pending["status"] == "PENDING_REGISTRATION"

    def act(path: str, **change: str) -> Any:
        call_client = {
            "name": NAME,
            "version": pending["version"],
            "operation": "MODEL_VERSION_OPERATION_READ_WRITE",
        }
        return maker.api_client.do("POST", f"{registry}/{path}", body=call_client | change)

    keys = act("generate-temporary-credentials")["credentials"]["aws_temp_credentials"]
    s3 = aws.client("s3", keys["access_key_id"], keys["secret_access_key"], keys["session_token"])
    prefix = pending["storage_location"].removeprefix("s3://governed/")
    s3.put_object(Bucket="governed", Key=f"{prefix}/MLmodel", Body=b"flavors: {}")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket="governed", Key="models/other", Body=b"")
    with pytest.raises(PermissionDenied, match="User is not an owner"):
        act("generate-temporary-credentials", version="1")
    assert act("finalize")["model_version"]["status"] == "READY"
    with pytest.raises(InvalidState, match="is READY: its files can no longer be written"):
        act("generate-temporary-credentials")


def test_versions_go_through_the_files_api_where_the_client_wants_that(
    tracked: Workspace, owner: Mlflow
) -> None:
    """What mlflow is moving to: no vended keys on the client, the workspace itself reads and
    writes.
    """
    run, name = owner.do("log_run", "/Shared/owner-files"), "edgar.models.through_files"
    before = len(tracked.audit())
    owner.do("switch", "MLFLOW_USE_DATABRICKS_SDK_MODEL_ARTIFACTS_REPO_FOR_UC", "true")
    assert owner.do("register", run["model_uri"], name) == {"version": "1", "status": "READY"}
    assert owner.do("load", f"models:/{name}/1") == [2.0, 4.0]
    owner.do("switch", "MLFLOW_USE_DATABRICKS_SDK_MODEL_ARTIFACTS_REPO_FOR_UC", "false")
    actions = {line["action"] for line in tracked.audit()[before:]}
    assert {"filesPut", "filesGet"} <= actions
    assert "generateTemporaryModelVersionCredentials" not in actions
    with pytest.raises(PermissionDenied, match="USE CATALOG"):
        list(
            new_principal(tracked).client.files.list_directory_contents(
                f"/Models/{name.replace('.', '/')}/1"
            )
        )


def test_no_request_failed_unnoticed(tracked: Workspace, registered: dict[str, str]) -> None:
    """mlflow hides many an error by trying another way; the audit log does not."""
    broken = [line for line in tracked.audit() if line["status"] == 500]
    assert broken == []
    unserved = {line["error"] for line in tracked.audit() if line["status"] == 501}
    assert unserved == set()
