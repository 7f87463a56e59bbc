"""The process as a whole: restarts, faults, the audit log, what is not served, what it refuses to
start with.
"""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, NotFound, NotImplemented
from databricks.sdk.service import catalog as uc

from tests.local.workspace.support.workspace_client import (
    REPOSITORY,
    Aws,
    Principal,
    Workspace,
    environment,
    fill,
    permit,
    unused_port,
)

EDGES = "/api/2.0/lineage-tracking/external-lineage"


@pytest.fixture(autouse=True)
def calm(workspace: Workspace) -> None:
    workspace.faults()


def test_it_serves_within_three_seconds_and_ends_cleanly(
    start_workspace: Workspace, tmp_path: Path
) -> None:
    began = time.monotonic()
    workspace = start_workspace(tmp_path)
    took = time.monotonic() - began
    assert took < 3 * _slowness(), f"{took:.1f} s"
    assert workspace.stop() == 0


def _slowness() -> float:
    """Return how much slower than idle this machine is, as other work must not fail the test."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import asyncio, json, sqlite3"], check=True)
    return max(1.0, (time.monotonic() - began) / 0.15)


def test_up_after_down_continues(start_workspace: Workspace, tmp_path: Path) -> None:
    first = start_workspace(tmp_path)
    fill(first)
    admin = first.admin
    token = admin.config.authenticate()
    table = admin.tables.get("edgar.raw.filings")
    metastore = admin.metastores.summary().metastore_id
    first.stop()
    second = start_workspace(tmp_path)
    admin = second.admin
    assert admin.tables.get("edgar.raw.filings") == table
    assert admin.metastores.summary().metastore_id == metastore
    assert [found.name for found in admin.external_locations.list()] == ["raw", "curated"]
    path = f"{second.host}/api/2.0/preview/scim/v2/Me"
    assert requests.get(path, headers=token, timeout=5).status_code == 200


def test_a_kill_loses_nothing_that_was_answered(start_workspace: Workspace, tmp_path: Path) -> None:
    first = start_workspace(tmp_path)
    admin = first.admin
    admin.catalogs.create("kept")
    first.process.kill()
    first.process.wait()
    assert start_workspace(tmp_path).admin.catalogs.get("kept").name == "kept"


def test_a_lost_credentials_file_is_made_again(start_workspace: Workspace, tmp_path: Path) -> None:
    first = start_workspace(tmp_path)
    before = json.loads((first.folder / "admin.json").read_text())
    first.stop()
    (first.folder / "admin.json").unlink()
    second = start_workspace(tmp_path)
    after = json.loads((second.folder / "admin.json").read_text())
    assert before["client_id"] == after["client_id"]
    assert second.admin.current_user.me().user_name == after["client_id"]
    with pytest.raises(ValueError, match="invalid_client"):
        second.client(before["client_id"], before["client_secret"]).current_user.me()


def test_an_unknown_path_is_reported_as_not_implemented(admin: WorkspaceClient) -> None:
    for method, path in (
        ("GET", "/api/2.0/clusters/list"),
        ("POST", "/api/2.0/sql/statements"),
        ("DELETE", "/api/2.1/unity-catalog/metastore_summary"),
        ("GET", "/api/2.0/fs/files/Volumes/main/a/b"),
    ):
        with pytest.raises(NotImplemented, match="not implemented here") as refusal:
            admin.api_client.do(method, path)
        assert refusal.value.error_code == "ENDPOINT_NOT_FOUND"
    with pytest.raises(NotImplemented, match="renaming Catalog 'edgar'"):
        admin.catalogs.update("edgar", new_name="other")


@pytest.mark.parametrize("body", ["[]", "{", "1"])
def test_a_body_that_is_not_an_object_is_malformed(
    workspace: Workspace, admin: WorkspaceClient, body: str
) -> None:
    headers = admin.config.authenticate()
    answer = requests.post(
        f"{workspace.host}/api/2.1/unity-catalog/catalogs", data=body, headers=headers, timeout=5
    )
    assert (answer.status_code, answer.json()["error_code"]) == (400, "MALFORMED_REQUEST")


def test_every_call_leaves_one_audit_line_without_secrets(
    workspace: Workspace, admin: WorkspaceClient, principal: Principal
) -> None:
    with pytest.raises(DatabricksError):
        principal.client.tables.get("edgar.raw.filings")
    keys = admin.temporary_table_credentials.generate_temporary_table_credentials(
        table_id=admin.tables.get("edgar.raw.filings").table_id, operation=uc.TableOperation.READ
    ).aws_temp_credentials
    lines = workspace.audit()
    denied = next(
        line for line in lines if line["principal"] == principal.client_id and line["status"] == 403
    )
    assert (denied["action"], denied["securable"]) == ("getTable", "Table 'edgar.raw.filings'")
    assert (denied["decision"], denied["error"]) == (
        "denied",
        "User does not have USE CATALOG on Catalog 'edgar'.",
    )
    allowed = lines[-1]
    assert (allowed["action"], allowed["decision"]) == (
        "generateTemporaryTableCredential",
        "allowed",
    )
    assert allowed["securable"] == "Table 'edgar.raw.filings'"
    text = (workspace.folder / "audit.jsonl").read_text()
    for secret in (
        principal.client_secret,
        keys.secret_access_key,
        keys.session_token,
        keys.access_key_id,
    ):
        assert secret not in text


def test_a_status_is_injected_as_often_as_asked(
    workspace: Workspace, admin: WorkspaceClient
) -> None:
    rule = {"path": "/catalogs/edgar$", "times": 2, "status": 429, "headers": {"Retry-After": "1"}}
    workspace.faults(rule)
    began = time.monotonic()
    assert admin.catalogs.get("edgar").name == "edgar"  # the SDK waits and retries
    assert time.monotonic() - began >= 2
    workspace.faults({"path": "/catalogs/edgar$", "times": 1, "status": 503})
    headers = admin.config.authenticate()
    answer = requests.get(
        f"{workspace.host}/api/2.1/unity-catalog/catalogs/edgar", headers=headers, timeout=5
    )
    assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


@pytest.mark.parametrize(("when", "kept"), [("before", 0), ("after", 1)])
def test_a_connection_is_dropped_before_or_after_the_commit(
    workspace: Workspace, admin: WorkspaceClient, when: str, kept: int
) -> None:
    headers, name = admin.config.authenticate(), f"dropped_{when}"
    workspace.faults({"method": "POST", "path": "/catalogs$", "drop": when})
    with pytest.raises(requests.ConnectionError):
        requests.post(
            f"{workspace.host}/api/2.1/unity-catalog/catalogs",
            json={"name": name},
            headers=headers,
            timeout=5,
        )
    assert [found.name for found in admin.catalogs.list()].count(name) == kept


def test_a_lost_answer_makes_the_sdk_write_an_edge_twice(
    workspace: Workspace, admin: WorkspaceClient
) -> None:
    """The fault our own lineage code has to survive, shown with the unchanged SDK."""
    job = uc.ExternalMetadata(name="ft_twice", system_type=uc.SystemType.OTHER, entity_type="job")
    admin.external_metadata.create_external_metadata(job)
    target = uc.ExternalLineageObject(
        external_metadata=uc.ExternalLineageExternalMetadata(name="ft_twice")
    )
    source = uc.ExternalLineageObject(table=uc.ExternalLineageTable(name="edgar.raw.filings"))
    workspace.faults({"method": "POST", "path": f"{EDGES}$", "drop": "after"})
    admin.external_lineage.create_external_lineage_relationship(
        uc.CreateRequestExternalLineage(source=source, target=target)
    )
    edges = admin.external_lineage.list_external_lineage_relationships(
        target, uc.LineageDirection.UPSTREAM
    )
    assert len(list(edges)) == 2


def test_a_delay_delays(workspace: Workspace, admin: WorkspaceClient) -> None:
    workspace.faults({"path": "/catalogs/edgar$", "delay_seconds": 0.5})
    began = time.monotonic()
    admin.catalogs.get("edgar")
    assert time.monotonic() - began >= 0.5


def test_a_wrong_rule_is_refused(workspace: Workspace) -> None:
    answer = requests.post(f"{workspace.host}/_test/faults", json=[{"paths": "x"}], timeout=5)
    assert answer.status_code == 400


def test_faults_are_not_served_unless_asked_for(aws: Aws, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pipeline.local.workspace",
        "--port",
        str(unused_port()),
        "--state",
        str(tmp_path),
    ]
    command += [
        "--tracking-url",
        "http://127.0.0.1:9",
        "--aws-endpoint",
        aws.endpoint,
        "--storage-bucket",
        "b2b",
    ]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        host = json.loads(process.stdout.readline())["host"]
        answer = requests.post(f"{host}/_test/faults", json=[], timeout=5)
        process.terminate()
    assert answer.status_code == 501


def test_two_creates_at_once_have_one_winner(workspace: Workspace, admin: WorkspaceClient) -> None:
    headers, answers = admin.config.authenticate(), []
    url = f"{workspace.host}/api/2.1/unity-catalog/catalogs"

    def create() -> None:
        answers.append(
            requests.post(url, json={"name": "contested"}, headers=headers, timeout=10).status_code
        )

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [400] * 7


def test_a_tracking_server_that_never_starts_is_unavailable(
    start_workspace: Workspace, tmp_path: Path
) -> None:
    workspace = start_workspace(tmp_path, "--tracking-wait-seconds", "0.5")
    headers = workspace.admin.config.authenticate()
    path = f"{workspace.host}/api/2.0/mlflow/experiments/search"
    answer = requests.get(path, params={"max_results": 1}, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert "does not answer" in answer.json()["message"]


def test_deleting_takes_the_grants_along(admin: WorkspaceClient, principal: Principal) -> None:
    admin.schemas.create("passing", "edgar")
    permit(admin, principal.client_id, ("SCHEMA", "edgar.passing"), add=["SELECT"])
    admin.schemas.delete("edgar.passing")
    admin.schemas.create("passing", "edgar")
    assert not admin.grants.get("SCHEMA", "edgar.passing").privilege_assignments
    with pytest.raises(DatabricksError, match="is not empty"):
        admin.catalogs.delete("edgar")
    with pytest.raises(NotFound):
        admin.schemas.get("edgar.never")


def test_addresses_for_people_open_without_showing_what_needs_a_right(workspace: Workspace) -> None:
    version = requests.get(
        f"{workspace.host}/explore/data/models/edgar/models/%3Cb%3E/version/3", timeout=30
    )
    assert version.status_code == 200
    assert "python -m pipeline.trace --env local --model edgar.models.&lt;b&gt;@3" in version.text
    key = "executions%2Fabcdefghijkl%2Fregister%2Freport.html"
    stored = requests.get(f"{workspace.host}/s3/object/evidence?prefix={key}", timeout=30)
    assert "pipeline.report --env local --execution abcdefghijkl --registered --open" in stored.text
    assert stored.headers["content-security-policy"] == "default-src 'none'"
    run = f"{workspace.host}/ml/experiments/17/runs/0123"
    led = requests.get(run, allow_redirects=False, timeout=30)
    assert led.headers["location"].endswith("/#/experiments/17/runs/0123")
