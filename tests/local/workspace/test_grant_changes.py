"""Changes of grants: their origin, privileges that do not fit, unknown principals, atomicity."""

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound
from databricks.sdk.service import catalog as uc

from tests.local.workspace.support.workspace_client import (
    CATALOG,
    METASTORE,
    RAW,
    TABLE,
    Principal,
    Securable,
    permit,
)


def test_grants_can_be_read_back_with_their_origin(
    admin: WorkspaceClient, principal: Principal
) -> None:
    permit(admin, principal.client_id, RAW, add=["SELECT"])
    permit(admin, principal.client_id, TABLE, add=["MODIFY"])
    direct = admin.grants.get("TABLE", "edgar.raw.filings", principal=principal.client_id)
    assert [held.as_dict()["privileges"] for held in direct.privilege_assignments or []] == [
        ["MODIFY"]
    ]
    effective = admin.grants.get_effective(
        "TABLE", "edgar.raw.filings", principal=principal.client_id
    )
    (held,) = effective.privilege_assignments or []
    origins = {(one.privilege, one.inherited_from_name) for one in held.privileges or []}
    assert origins == {(uc.Privilege.MODIFY, None), (uc.Privilege.SELECT, "edgar.raw")}


@pytest.mark.parametrize(
    ("securable", "privilege"),
    [
        (TABLE, "EXECUTE"),
        (TABLE, "EXTERNAL_USE_SCHEMA"),
        (METASTORE, "SELECT"),
        (CATALOG, "MADE_UP"),
    ],
)
def test_a_privilege_that_does_not_fit_is_refused(
    admin: WorkspaceClient, principal: Principal, securable: Securable, privilege: str
) -> None:
    with pytest.raises(BadRequest, match="not applicable"):
        permit(admin, principal.client_id, securable, add=[privilege])


def test_a_grant_to_nobody_is_refused(admin: WorkspaceClient) -> None:
    with pytest.raises(NotFound, match="Could not find principal with name nobody"):
        permit(admin, "nobody", CATALOG, add=["USE_CATALOG"])


def test_one_wrong_change_leaves_no_other_behind(
    admin: WorkspaceClient, principal: Principal
) -> None:
    changes = [
        {"principal": principal.client_id, "add": ["SELECT"]},
        {"principal": "nobody", "add": ["SELECT"]},
    ]
    path = "/api/2.1/unity-catalog/permissions/TABLE/edgar.raw.filings"
    with pytest.raises(NotFound):
        admin.api_client.do("PATCH", path, body={"changes": changes})
    found = admin.grants.get("TABLE", "edgar.raw.filings", principal=principal.client_id)
    assert not found.privilege_assignments
