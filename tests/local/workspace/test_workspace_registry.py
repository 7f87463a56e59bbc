"""mlflow's unchanged client against the workspace and a real mlflow server: register, load, alias, with minimal rights."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied, ResourceAlreadyExists

MODEL = "edgar.models.analyst"
REGISTERING = {
    ("CATALOG", "edgar"): ["USE_CATALOG"],
    ("SCHEMA", "edgar.models"): ["USE_SCHEMA", "CREATE_MODEL"],
}


class Mlflow:
    """A principal's own mlflow process."""

    def __init__(self, environment: dict[str, str], log: Path):
        self._log = log.open("w")
        script = str(Path(__file__).with_name("mlflow_session.py"))
        self._process = subprocess.Popen(
            [sys.executable, script],
            env=environment,
            cwd=log.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def ask(self, step: str, *arguments: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([step, arguments]), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def do(self, step: str, *arguments: str) -> Any:
        answer = self.ask(step, *arguments)
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
def tracked(start_workspace: Any, start_tracking: Any, fill: Any, tmp_path_factory: Any) -> Any:
    """A workspace whose tracking server starts beside it, as in `up`."""
    url = start_tracking()
    workspace = start_workspace(tmp_path_factory.mktemp("tracked"), tracking=url)
    fill(workspace)
    return workspace


@pytest.fixture(scope="module")
def admin(tracked: Any) -> WorkspaceClient:
    return tracked.admin()


Person = tuple[str, Mlflow]


@pytest.fixture(scope="module")
def person(tracked: Any, aws: Any, environment: Any, tmp_path_factory: Any) -> Iterator[Callable[..., Person]]:
    """Makes a principal with grants and an mlflow process that is that principal."""
    opened: list[Mlflow] = []

    def make(name: str, grants: dict[tuple[str, str], list[str]], **extra: str) -> Person:
        admin = tracked.admin()
        made = admin.service_principals.create(display_name=name)
        secret = admin.service_principal_secrets_proxy.create(str(made.id)).secret
        who = str(made.application_id)
        for (kind, securable), privileges in grants.items():
            permit(admin, who, kind, securable, add=privileges)
        folder = tmp_path_factory.mktemp(name)
        variables = {
            "HOME": str(folder),
            "DATABRICKS_HOST": tracked.host,
            "DATABRICKS_CLIENT_ID": who,
            "DATABRICKS_CLIENT_SECRET": secret,
            "DATABRICKS_AUTH_TYPE": "oauth-m2m",
            "AWS_ENDPOINT_URL_S3": aws.endpoint,
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "GIT_PYTHON_REFRESH": "quiet",
        }
        opened.append(Mlflow(environment(**variables, **extra), folder / "log"))
        return who, opened[-1]

    yield make
    for one in opened:
        one.close()


def permit(admin: WorkspaceClient, who: str, kind: str, name: str, **change: list[str]) -> None:
    body = {"changes": [{"principal": who, **change}]}
    admin.api_client.do("PATCH", f"/api/2.1/unity-catalog/permissions/{kind}/{name}", body=body)


@pytest.fixture(scope="module")
def owner(person: Callable[..., Person]) -> Person:
    """Who registers, with the least that allows it."""
    return person("owner", REGISTERING)


@pytest.fixture(scope="module")
def registered(owner: Person) -> dict[str, str]:
    """A run, its logged model, and version 1 of the registered model."""
    _, mlflow = owner
    run: dict[str, str] = mlflow.do("log_run", "/Users/owner/analyst")
    assert mlflow.do("register", run["model_uri"], MODEL) == {"version": "1", "status": "READY"}
    return run


def test_run_artifacts_go_through_the_files_api(owner: Person, registered: dict[str, str]) -> None:
    _, mlflow = owner
    assert mlflow.do("artifacts", registered["run_id"]) == {"listed": ["notes/note.txt"], "text": "kept"}


def test_a_version_keeps_tags_alias_and_description(owner: Person, registered: dict[str, str]) -> None:
    _, mlflow = owner
    mlflow.do("change", MODEL, "1")
    assert mlflow.do("alias", MODEL, "challenger", "1") == "1"
    assert mlflow.do("describe", MODEL, "1") == {
        "status": "READY",
        "tags": {"gate": "passed"},
        "aliases": ["challenger"],
        "description": "what it is",
    }
    assert mlflow.do("search", MODEL) == ["1"]
    assert mlflow.do("load", f"models:/{MODEL}@challenger") == [2.0, 4.0]


def test_loading_needs_execute_and_both_uses(
    admin: WorkspaceClient, owner: Person, registered: dict[str, str], person: Callable[..., Person]
) -> None:
    needs = {
        ("CATALOG", "edgar"): "USE_CATALOG",
        ("SCHEMA", "edgar.models"): "USE_SCHEMA",
        ("FUNCTION", MODEL): "EXECUTE",
    }
    who, mlflow = person("reader", {securable: [privilege] for securable, privilege in needs.items()})
    assert mlflow.do("load", f"models:/{MODEL}/1") == [2.0, 4.0]
    for (kind, name), privilege in needs.items():
        permit(admin, who, kind, name, remove=[privilege])
        refusal = mlflow.ask("load", f"models:/{MODEL}/1")
        assert f"User does not have {privilege.replace('_', ' ')} on" in refusal.get("error", ""), refusal
        permit(admin, who, kind, name, add=[privilege])
    for step in (["alias", MODEL, "champion", "1"], ["delete", MODEL, "1"]):
        assert "User is not an owner of Routine or Model" in mlflow.ask(*step)["error"]
    refusal = mlflow.ask("register", f"models:/{MODEL}/1", MODEL)
    assert "User does not have CREATE MODEL VERSION on Routine or Model" in refusal["error"]


def test_registering_needs_create_model(admin: WorkspaceClient, owner: Person, registered: dict[str, str]) -> None:
    who, mlflow = owner
    permit(admin, who, "SCHEMA", "edgar.models", remove=["CREATE_MODEL"])
    refusal = mlflow.ask("register", registered["model_uri"], "edgar.models.another")
    assert "User does not have CREATE MODEL on Schema 'edgar.models'" in refusal["error"]
    assert mlflow.do("register", registered["model_uri"], MODEL)["version"] == "2"  # an owner needs no more for that
    permit(admin, who, "SCHEMA", "edgar.models", add=["CREATE_MODEL"])


def test_versions_are_copied_deleted_and_never_numbered_twice(owner: Person, registered: dict[str, str]) -> None:
    _, mlflow = owner
    name = "edgar.models.copied"
    assert mlflow.do("copy", f"models:/{MODEL}/1", name) == "1"
    mlflow.do("delete", name, "1")
    assert mlflow.do("copy", f"models:/{MODEL}/1", name) == "2"
    mlflow.do("delete_model", name)
    assert "does not exist" in mlflow.ask("describe", name, "2")["error"]


def test_the_native_surface_registers_and_loads_as_well(person: Callable[..., Person]) -> None:
    _, mlflow = person("native", REGISTERING, MLFLOW_ENABLE_UC_NATIVE_MODEL_REGISTRY="true")
    run, name = mlflow.do("log_run", "/Users/native/analyst"), "edgar.models.native"
    assert mlflow.do("register", run["model_uri"], name) == {"version": "1", "status": "READY"}
    mlflow.do("change", name, "1")
    assert mlflow.do("alias", name, "champion", "1") == "1"
    assert mlflow.do("describe", name, "1")["aliases"] == ["champion"]
    assert mlflow.do("load", f"models:/{name}@champion") == [2.0, 4.0]
    assert mlflow.do("search", name) == ["1"]
    mlflow.do("delete", name, "1")


def test_the_sdk_sees_what_mlflow_registered(admin: WorkspaceClient, registered: dict[str, str]) -> None:
    version = admin.model_versions.get(MODEL, 1)
    assert (version.version, str(version.status), version.run_id) == (
        1,
        "ModelVersionInfoStatus.READY",
        registered["run_id"],
    )
    assert str(version.storage_location).startswith("s3://governed/models/")
    assert [found.version for found in admin.model_versions.list(MODEL)][:1] == [1]
    assert admin.model_versions.get_by_alias(MODEL, "challenger").version == 1
    found = admin.api_client.do(
        "GET", "/api/2.0/mlflow/unity-catalog/model-versions/search", query={"filter": f"name = '{MODEL}'"}
    )
    assert [version.keys() & {"tags", "aliases"} for version in found["model_versions"]][:1] == [set()]
    assert MODEL in [found.full_name for found in admin.registered_models.list()]
    with pytest.raises(ResourceAlreadyExists):
        admin.registered_models.create(name="analyst", catalog_name="edgar", schema_name="models")
    with pytest.raises(NotFound):
        admin.model_versions.get(MODEL, 99)


def test_a_pending_version_is_written_by_its_maker_and_a_ready_one_by_nobody(
    admin: WorkspaceClient, tracked: Any, aws: Any, registered: dict[str, str]
) -> None:
    registry = "/api/2.0/mlflow/unity-catalog/model-versions"
    made = admin.service_principals.create(display_name="maker")
    secret = admin.service_principal_secrets_proxy.create(str(made.id)).secret
    who = str(made.application_id)
    permit(admin, who, "CATALOG", "edgar", add=["USE_CATALOG"])
    permit(admin, who, "SCHEMA", "edgar.models", add=["USE_SCHEMA", "CREATE_MODEL_VERSION"])
    maker = tracked.client(who, secret).api_client
    pending = maker.do("POST", f"{registry}/create", body={"name": MODEL, "source": "s3://x/y"})["model_version"]
    assert pending["status"] == "PENDING_REGISTRATION"
    ask = {"name": MODEL, "version": pending["version"], "operation": "MODEL_VERSION_OPERATION_READ_WRITE"}
    path = f"{registry}/generate-temporary-credentials"
    keys = maker.do("POST", path, body=ask)["credentials"]["aws_temp_credentials"]
    s3 = aws.client("s3", keys["access_key_id"], keys["secret_access_key"], keys["session_token"])
    prefix = pending["storage_location"].removeprefix("s3://governed/")
    s3.put_object(Bucket="governed", Key=f"{prefix}/MLmodel", Body=b"flavors: {}")
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.put_object(Bucket="governed", Key="models/other", Body=b"")
    with pytest.raises(PermissionDenied, match="User is not an owner"):
        maker.do("POST", path, body=ask | {"version": "1"})
    assert maker.do("POST", f"{registry}/finalize", body=ask)["model_version"]["status"] == "READY"
    with pytest.raises(Exception, match="is READY: its files can no longer be written"):
        maker.do("POST", path, body=ask)


def test_nothing_failed_behind_the_clients_backs(tracked: Any, registered: dict[str, str]) -> None:
    """mlflow hides many an error by trying another way; the audit log does not."""
    broken = [line for line in tracked.audit() if line["status"] == 500]
    assert broken == []
    unserved = {line["error"] for line in tracked.audit() if line["status"] == 501}
    assert unserved == set()
