"""Effective permissions as a step reads them: inherited from schema and catalog, and by a group."""

from datetime import timedelta

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied

from steps.governance.names import UcName
from steps.governance.unity_catalog import granted
from steps.governance.unity_catalog.credentials import Access, Credential, utc_now
from steps.governance.unity_catalog.identity import Workspace as Connection
from tests.local.workspace.support.workspace_client import (
    CATALOG,
    METASTORE,
    RAW,
    TABLE,
    Principal,
    Workspace,
    permit,
)

NAME = UcName.parse("edgar.raw.filings")
EVERYBODY = "account users"


def shown(workspace: Workspace, who: str, client: WorkspaceClient) -> list[tuple[str, ...]]:
    """The grants on the table, as the record of a reading by this principal has them."""
    now = utc_now()
    access = Access("s3://b/t", lambda: Credential("k", "s", "t", now, now + timedelta(hours=1)))
    found = granted.reading(Connection(workspace.host, who, client), NAME, access, now)
    assert found.grants_unknown is None
    return [
        (one.privilege, "own" if one.holder == who else one.holder, one.securable_type)
        for one in found.grants or []
    ]


def test_grants_are_inherited_from_schema_and_catalog_but_not_from_the_metastore(
    workspace: Workspace, admin: WorkspaceClient, principal: Principal
) -> None:
    who = principal.client_id
    permit(admin, who, METASTORE, add=["CREATE_CATALOG"])
    permit(admin, who, CATALOG, add=["USE_CATALOG"])
    permit(admin, who, RAW, add=["USE_SCHEMA", "EXTERNAL_USE_SCHEMA"])
    permit(admin, who, TABLE, add=["SELECT"])
    assert shown(workspace, who, principal.client) == [
        ("USE_CATALOG", "own", "CATALOG"),
        ("EXTERNAL_USE_SCHEMA", "own", "SCHEMA"),
        ("USE_SCHEMA", "own", "SCHEMA"),
        ("SELECT", "own", "TABLE"),
    ]


def test_grants_to_the_group_of_everybody_are_shown_with_that_holder(
    workspace: Workspace, admin: WorkspaceClient, principal: Principal
) -> None:
    permit(admin, EVERYBODY, CATALOG, add=["USE_CATALOG"])
    permit(admin, EVERYBODY, RAW, add=["ALL_PRIVILEGES"])
    try:
        assert shown(workspace, principal.client_id, principal.client) == [
            ("USE_CATALOG", EVERYBODY, "CATALOG"),
            ("ALL_PRIVILEGES", EVERYBODY, "SCHEMA"),
        ]
    finally:
        permit(admin, EVERYBODY, CATALOG, remove=["USE_CATALOG"])
        permit(admin, EVERYBODY, RAW, remove=["ALL_PRIVILEGES"])


def test_an_owner_is_recorded_as_one(workspace: Workspace, admin: WorkspaceClient) -> None:
    me = str(admin.current_user.me().user_name)
    owned = [one for one in shown(workspace, me, admin) if one[0] == "OWNER"]
    assert [one[2] for one in owned] == ["CATALOG", "SCHEMA", "TABLE"]


def test_the_grants_of_another_principal_are_not_shown(
    admin: WorkspaceClient, principal: Principal
) -> None:
    another = str(admin.current_user.me().user_name)
    with pytest.raises(PermissionDenied, match="MANAGE"):
        principal.client.grants.get_effective("TABLE", str(NAME), principal=another)
