"""Who may come in: OAuth, service principals and their secrets."""

import stat
import time
from pathlib import Path

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    AlreadyExists,
    BadRequest,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from databricks.sdk.service.iam import ComplexValue, Patch, PatchOp

from tests.local.workspace.support.workspace_client import Principal, Workspace


def test_the_first_admin_is_written_for_the_owner_alone(
    workspace: Workspace, admin: WorkspaceClient
) -> None:
    file = workspace.folder / "admin.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert admin.current_user.me().display_name == "metastore-admin"
    assert admin.metastores.summary().owner == admin.current_user.me().user_name


def test_a_wrong_secret_is_invalid_client_and_never_shown(
    workspace: Workspace, principal: Principal
) -> None:
    with pytest.raises(ValueError, match="invalid_client") as caught:
        workspace.client(principal.client_id, "dose-wrong-secret").current_user.me()
    assert "dose-wrong-secret" not in str(caught.value)
    assert "dose-wrong-secret" not in (workspace.folder / "audit.jsonl").read_text()


def test_an_unknown_client_is_invalid_client(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="invalid_client"):
        workspace.client("nobody", "nothing").current_user.me()


@pytest.mark.parametrize("authorization", [None, "Bearer made-up", "Basic dGVzdDp0ZXN0"])
def test_a_missing_or_foreign_token_is_unauthenticated(
    workspace: Workspace, authorization: str | None
) -> None:
    headers = {"authorization": authorization} if authorization else {}
    answer = requests.get(
        f"{workspace.host}/api/2.0/preview/scim/v2/Me", headers=headers, timeout=5
    )
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")


def test_an_expired_token_is_unauthenticated(start_workspace: Workspace, tmp_path: Path) -> None:
    workspace = start_workspace(tmp_path, "--token-ttl-seconds", "0")
    client = workspace.client("pat-like", "unused")
    admin = workspace.admin
    token = admin.config.authenticate()["Authorization"]
    assert client is not admin
    answer = requests.get(
        f"{workspace.host}/api/2.0/preview/scim/v2/Me", headers={"authorization": token}, timeout=5
    )
    assert (answer.status_code, answer.json()["message"]) == (401, "Access token expired.")
    with pytest.raises(Unauthenticated, match="Access token expired"):
        admin.current_user.me()


def test_secrets_live_and_die_one_by_one(
    workspace: Workspace, admin: WorkspaceClient, principal: Principal
) -> None:
    secrets = admin.service_principal_secrets_proxy
    second = secrets.create(principal.id)
    first = next(info for info in secrets.list(principal.id) if info.id != second.id)
    secrets.delete(principal.id, str(first.id))
    with pytest.raises(ValueError, match="invalid_client"):
        workspace.client(principal.client_id, principal.client_secret).current_user.me()
    client = workspace.client(principal.client_id, str(second.secret))
    assert client.current_user.me().user_name == principal.client_id


def test_a_principal_has_at_most_five_secrets(admin: WorkspaceClient, principal: Principal) -> None:
    for _ in range(4):
        admin.service_principal_secrets_proxy.create(principal.id)
    with pytest.raises(BadRequest, match="at most 5 secrets"):
        admin.service_principal_secrets_proxy.create(principal.id)


def test_an_expired_secret_is_refused(
    workspace: Workspace, admin: WorkspaceClient, principal: Principal
) -> None:
    secrets = admin.service_principal_secrets_proxy
    brief, longer = (
        str(secrets.create(principal.id, lifetime=lifetime).secret) for lifetime in ("1s", "600s")
    )
    time.sleep(1.1)
    who = workspace.client(principal.client_id, longer).current_user.me().user_name
    assert who == principal.client_id
    with pytest.raises(ValueError, match="invalid_client"):
        workspace.client(principal.client_id, brief).current_user.me()


def test_a_secret_lives_for_two_years_at_most(admin: WorkspaceClient, principal: Principal) -> None:
    with pytest.raises(BadRequest, match="lifetime"):
        admin.service_principal_secrets_proxy.create(principal.id, lifetime="0s")
    with pytest.raises(BadRequest, match="lifetime"):
        admin.service_principal_secrets_proxy.create(principal.id, lifetime="63072001s")


def test_a_deleted_principal_loses_access_at_once(
    admin: WorkspaceClient, principal: Principal
) -> None:
    assert principal.client.current_user.me().user_name == principal.client_id
    admin.service_principals.delete(principal.id)
    with pytest.raises(Unauthenticated):
        principal.client.current_user.me()
    with pytest.raises(NotFound):
        admin.service_principals.get(principal.id)


def test_only_the_admin_manages_principals(principal: Principal) -> None:
    with pytest.raises(PermissionDenied, match="Only workspace admins"):
        principal.client.service_principals.create(display_name="mine")


def test_secrets_are_nowhere_in_the_state(workspace: Workspace, principal: Principal) -> None:
    token = principal.client.config.authenticate()["Authorization"].removeprefix("Bearer ")
    kept = b"".join(
        file.read_bytes() for file in workspace.folder.iterdir() if file.name != "admin.json"
    )
    assert principal.client_id.encode() in kept
    assert principal.client_secret.encode() not in kept
    assert token.encode() not in kept


def test_the_caller_sees_the_groups_that_have_it_as_a_member(
    admin: WorkspaceClient, principal: Principal
) -> None:
    name = f"approvers-{principal.id}"
    made = admin.groups.create(display_name=name, members=[ComplexValue(value=principal.id)])
    (group,) = principal.client.current_user.me().groups
    assert (group.display, group.value, group.type) == (name, made.id, "direct")
    assert admin.current_user.me().groups in (None, [])
    (found,) = principal.client.groups.list(filter=f'displayName eq "{name}"')
    assert [member.value for member in found.members] == [principal.id]
    remove = Patch(op=PatchOp.REMOVE, path=f'members[value eq "{principal.id}"]')
    admin.groups.patch(made.id, operations=[remove])
    assert principal.client.current_user.me().groups in (None, [])
    add = Patch(op=PatchOp.ADD, path="members", value=[{"value": principal.id}])
    admin.groups.patch(made.id, operations=[add])
    assert principal.client.current_user.me().groups != []
    admin.groups.delete(made.id)
    assert principal.client.current_user.me().groups in (None, [])


def test_only_the_admin_makes_groups_and_members_are_principals(
    admin: WorkspaceClient, principal: Principal
) -> None:
    with pytest.raises(PermissionDenied, match="Only workspace admins"):
        principal.client.groups.create(display_name="mine")
    with pytest.raises(BadRequest, match="is not a principal"):
        admin.groups.create(display_name="other", members=[ComplexValue(value="17")])
    made = admin.groups.create(display_name=f"one-{principal.id}")
    with pytest.raises(AlreadyExists):
        admin.groups.create(display_name=f"one-{principal.id}")
    with pytest.raises(PermissionDenied, match="Only workspace admins"):
        principal.client.groups.delete(made.id)
    admin.groups.delete(made.id)
