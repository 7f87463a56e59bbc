"""Unity Catalog's rules, one row each: with exactly these grants an action is allowed, without any
one of them refused.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.service import catalog as uc

from tests.local.workspace.support import workspace_client
from tests.local.workspace.support.workspace_client import (
    CATALOG,
    CURATED,
    CURATED_LOCATION,
    METASTORE,
    MODEL,
    MODELS,
    RAW,
    RAW_LOCATION,
    TABLE,
    Principal,
    Securable,
    Workspace,
    create_version,
    permit,
)

# Where Unity Catalog asks for a privilege, wherever it was granted.
ASKED_ON = {
    "USE_CATALOG": "Catalog 'edgar'",
    "CREATE_SCHEMA": "Catalog 'edgar'",
    "CREATE_CATALOG": "Metastore",
    "CREATE_EXTERNAL_METADATA": "Metastore",
    "USE_SCHEMA": "Schema 'edgar.",
    "EXTERNAL_USE_SCHEMA": "Schema 'edgar.",
    "CREATE_TABLE": "Schema 'edgar.curated'",
    "CREATE_MODEL": "Schema 'edgar.models'",
    "SELECT": "Table 'edgar.raw.filings'",
    "MODIFY": "Table 'edgar.raw.filings'",
    "EXECUTE": "Routine or Model 'edgar.models.analyst'",
    "CREATE_MODEL_VERSION": "Routine or Model 'edgar.models.analyst'",
    "EXTERNAL_USE_LOCATION": "External Location '",
    "CREATE_EXTERNAL_TABLE": "External Location 'curated'",
    "READ_FILES": "External Location 'curated'",
    "WRITE_FILES": "External Location 'curated'",
}


@dataclass(frozen=True)
class Rule:
    """An action and the grants it needs, no more and no less."""

    act: Callable[[WorkspaceClient], Any]
    needs: tuple[tuple[Securable, str], ...]


def table_credentials(operation: str) -> Callable[[WorkspaceClient], Any]:
    def act(client: WorkspaceClient) -> Any:
        # The id by REST as the admin knows it: `tables.get` would need a further right.
        table_id = act.table_id  # type: ignore[attr-defined]
        return client.temporary_table_credentials.generate_temporary_table_credentials(
            table_id=table_id, operation=uc.TableOperation(operation)
        )

    return act


def path_credentials(operation: str, url: str) -> Callable[[WorkspaceClient], Any]:
    return lambda client: client.temporary_path_credentials.generate_temporary_path_credentials(
        url=url, operation=uc.PathOperation(operation)
    )


def create_table(client: WorkspaceClient) -> Any:
    name = f"t{secrets.token_hex(4)}"
    return workspace_client.create_table(
        client, f"edgar.curated.{name}", f"s3://governed/curated/{name}"
    )


def create_model(client: WorkspaceClient) -> Any:
    return client.registered_models.create(
        name=f"m{secrets.token_hex(4)}", catalog_name="edgar", schema_name="models"
    )


def create_metadata(client: WorkspaceClient) -> Any:
    metadata = uc.ExternalMetadata(
        name=f"ft_{secrets.token_hex(4)}", system_type=uc.SystemType.OTHER, entity_type="job"
    )
    return client.external_metadata.create_external_metadata(metadata)


def read_version_credentials(client: WorkspaceClient) -> Any:
    body = {
        "name": "edgar.models.analyst",
        "version": "1",
        "operation": "MODEL_VERSION_OPERATION_READ",
    }
    path = "/api/2.0/mlflow/unity-catalog/model-versions/generate-temporary-credentials"
    return client.api_client.do("POST", path, body=body)


USE_RAW = ((CATALOG, "USE_CATALOG"), (RAW, "USE_SCHEMA"))
USE_CURATED = ((CATALOG, "USE_CATALOG"), (CURATED, "USE_SCHEMA"))
USE_MODELS = ((CATALOG, "USE_CATALOG"), (MODELS, "USE_SCHEMA"))
NEW_PATH = "s3://governed/curated/new-path"

RULES = {
    "see a catalog": Rule(lambda c: c.catalogs.get("edgar"), (((CATALOG), "USE_CATALOG"),)),
    "see a schema": Rule(lambda c: c.schemas.get("edgar.raw"), USE_RAW),
    "see a table": Rule(lambda c: c.tables.get("edgar.raw.filings"), (*USE_RAW, (TABLE, "SELECT"))),
    "see a table through its schema": Rule(
        lambda c: c.tables.get("edgar.raw.filings"), (*USE_RAW, (RAW, "SELECT"))
    ),
    "create a schema": Rule(
        lambda c: c.schemas.create(f"s{secrets.token_hex(4)}", "edgar"),
        ((CATALOG, "USE_CATALOG"), (CATALOG, "CREATE_SCHEMA")),
    ),
    "create a catalog": Rule(
        lambda c: c.catalogs.create(f"c{secrets.token_hex(4)}"), ((METASTORE, "CREATE_CATALOG"),)
    ),
    "create a table": Rule(
        create_table,
        (
            *USE_CURATED,
            (CURATED, "CREATE_TABLE"),
            (CURATED, "EXTERNAL_USE_SCHEMA"),
            (CURATED_LOCATION, "CREATE_EXTERNAL_TABLE"),
            (CURATED_LOCATION, "EXTERNAL_USE_LOCATION"),
        ),
    ),
    "read a table's files": Rule(
        table_credentials("READ"), (*USE_RAW, (RAW, "EXTERNAL_USE_SCHEMA"), (TABLE, "SELECT"))
    ),
    "read a table's files, granted on the catalog": Rule(
        table_credentials("READ"),
        (
            (CATALOG, "USE_CATALOG"),
            (CATALOG, "USE_SCHEMA"),
            (CATALOG, "EXTERNAL_USE_SCHEMA"),
            (CATALOG, "SELECT"),
        ),
    ),
    "write a table's files": Rule(
        table_credentials("READ_WRITE"),
        (*USE_RAW, (RAW, "EXTERNAL_USE_SCHEMA"), (TABLE, "SELECT"), (TABLE, "MODIFY")),
    ),
    "read a path": Rule(
        path_credentials("PATH_READ", NEW_PATH),
        ((CURATED_LOCATION, "EXTERNAL_USE_LOCATION"), (CURATED_LOCATION, "READ_FILES")),
    ),
    "write a path": Rule(
        path_credentials("PATH_READ_WRITE", NEW_PATH),
        ((CURATED_LOCATION, "EXTERNAL_USE_LOCATION"), (CURATED_LOCATION, "WRITE_FILES")),
    ),
    "make a path into a table": Rule(
        path_credentials("PATH_CREATE_TABLE", NEW_PATH),
        ((CURATED_LOCATION, "EXTERNAL_USE_LOCATION"), (CURATED_LOCATION, "CREATE_EXTERNAL_TABLE")),
    ),
    "read a table by its path": Rule(
        path_credentials("PATH_READ", "s3://governed/raw/filings/_delta_log"),
        (
            *USE_RAW,
            (RAW_LOCATION, "EXTERNAL_USE_LOCATION"),
            (RAW, "EXTERNAL_USE_SCHEMA"),
            (TABLE, "SELECT"),
        ),
    ),
    "create a model": Rule(create_model, (*USE_MODELS, (MODELS, "CREATE_MODEL"))),
    "create a model version": Rule(create_version, (*USE_MODELS, (MODEL, "CREATE_MODEL_VERSION"))),
    "see a model version": Rule(
        lambda c: c.model_versions.get("edgar.models.analyst", 1), (*USE_MODELS, (MODEL, "EXECUTE"))
    ),
    "load a model version": Rule(read_version_credentials, (*USE_MODELS, (MODELS, "EXECUTE"))),
    "create external metadata": Rule(create_metadata, ((METASTORE, "CREATE_EXTERNAL_METADATA"),)),
}


@pytest.fixture(scope="module", autouse=True)
def objects(admin: WorkspaceClient) -> None:
    """A model with one version, and the table's id where the rules need it."""
    admin.registered_models.create(name="analyst", catalog_name="edgar", schema_name="models")
    create_version(admin)
    table_id = admin.tables.get("edgar.raw.filings").table_id
    for rule in RULES.values():
        rule.act.table_id = table_id  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", RULES)
def test_an_action_needs_each_of_its_grants(
    admin: WorkspaceClient, principal: Principal, name: str
) -> None:
    rule, who = RULES[name], principal.client_id
    for securable, privilege in rule.needs:
        permit(admin, who, securable, add=[privilege])
    for securable, privilege in rule.needs:
        permit(admin, who, securable, remove=[privilege])
        with pytest.raises(PermissionDenied) as refusal:
            rule.act(principal.client)
        expected = f"User does not have {privilege.replace('_', ' ')} on {ASKED_ON[privilege]}"
        assert str(refusal.value).startswith(expected)
        permit(admin, who, securable, add=[privilege])
    assert rule.act(principal.client) is not None


def test_a_refusal_names_privilege_kind_and_object(
    admin: WorkspaceClient, principal: Principal
) -> None:
    for securable, privilege in USE_RAW:
        permit(admin, principal.client_id, securable, add=[privilege])
    with pytest.raises(PermissionDenied) as refusal:
        RULES["read a table's files"].act(principal.client)
    # The SDK appends its configuration to the message of every 401 and 403.
    assert str(refusal.value).startswith(
        "User does not have EXTERNAL USE SCHEMA on Schema 'edgar.raw'. Config: "
    )
    (info,) = refusal.value.get_error_info()
    assert info.metadata["msg"] == "EXTERNAL USE SCHEMA"
    assert (info.metadata["resourceType"], info.metadata["resourceName"]) == ("Schema", "edgar.raw")


def test_all_privileges_contains_everything_but_external_use_and_manage(
    admin: WorkspaceClient, principal: Principal
) -> None:
    permit(admin, principal.client_id, CATALOG, add=["ALL_PRIVILEGES"])
    permit(admin, principal.client_id, CURATED_LOCATION, add=["ALL PRIVILEGES"])
    assert principal.client.tables.get("edgar.raw.filings").name == "filings"
    with pytest.raises(PermissionDenied, match=r"EXTERNAL USE SCHEMA on Schema 'edgar\.raw'"):
        RULES["read a table's files"].act(principal.client)
    with pytest.raises(
        PermissionDenied, match="EXTERNAL USE LOCATION on External Location 'curated'"
    ):
        RULES["read a path"].act(principal.client)
    with pytest.raises(PermissionDenied, match="MANAGE on Table"):
        permit(principal.client, principal.client_id, TABLE, add=["SELECT"])


def test_owning_does_not_contain_external_use(admin: WorkspaceClient) -> None:
    assert admin.external_locations.get("curated").owner == admin.current_user.me().user_name
    with pytest.raises(
        PermissionDenied, match="EXTERNAL USE LOCATION on External Location 'curated'"
    ):
        RULES["read a path"].act(admin)
    with pytest.raises(PermissionDenied, match=r"EXTERNAL USE SCHEMA on Schema 'edgar\.curated'"):
        RULES["create a table"].act(admin)


def test_owning_the_schema_lets_one_manage_a_table_but_not_read_it(
    admin: WorkspaceClient, workspace: Workspace, principal: Principal
) -> None:
    admin.schemas.create("owned", "edgar")
    admin.schemas.update("edgar.owned", owner=principal.client_id)
    permit(admin, principal.client_id, CATALOG, add=["USE_CATALOG"])
    with pytest.raises(PermissionDenied, match="User is not an owner of Catalog 'edgar'"):
        permit(
            principal.client,
            principal.client_id,
            ("SCHEMA", "edgar.owned"),
            add=["EXTERNAL_USE_SCHEMA"],
        )
    permit(principal.client, principal.client_id, ("SCHEMA", "edgar.owned"), add=["SELECT"])
    assert principal.client.schemas.get("edgar.owned").owner == principal.client_id


def test_only_a_locations_owner_grants_external_use_location(
    admin: WorkspaceClient, principal: Principal
) -> None:
    permit(admin, principal.client_id, CURATED_LOCATION, add=["MANAGE"])
    permit(principal.client, principal.client_id, CURATED_LOCATION, add=["READ_FILES"])
    with pytest.raises(
        PermissionDenied, match="User is not an owner of External Location 'curated'"
    ):
        permit(
            principal.client, principal.client_id, CURATED_LOCATION, add=["EXTERNAL_USE_LOCATION"]
        )


def test_browse_shows_metadata_without_any_use(
    admin: WorkspaceClient, principal: Principal
) -> None:
    permit(admin, principal.client_id, RAW, add=["BROWSE"])
    assert principal.client.tables.get("edgar.raw.filings").name == "filings"
    assert principal.client.tables.exists("edgar.raw.filings").table_exists
    with pytest.raises(PermissionDenied, match="USE CATALOG"):
        RULES["read a table's files"].act(principal.client)


def test_what_one_may_not_reach_is_refused_whether_it_exists_or_not(
    admin: WorkspaceClient, principal: Principal
) -> None:
    for missing in ("edgar.raw.filings", "edgar.raw.nothing", "edgar.nothing.nothing"):
        with pytest.raises(PermissionDenied, match="USE CATALOG on Catalog 'edgar'"):
            principal.client.tables.get(missing)
    for securable, privilege in USE_RAW:
        permit(admin, principal.client_id, securable, add=[privilege])
    with pytest.raises(NotFound, match=r"Table 'edgar\.raw\.nothing' does not exist"):
        principal.client.tables.get("edgar.raw.nothing")
    assert not principal.client.tables.exists("edgar.raw.filings").table_exists


def test_lists_leave_out_what_one_may_not_see(admin: WorkspaceClient, principal: Principal) -> None:
    assert list(principal.client.catalogs.list()) == []
    for securable, privilege in (*USE_RAW, (TABLE, "SELECT")):
        permit(admin, principal.client_id, securable, add=[privilege])
    assert [found.name for found in principal.client.catalogs.list()] == ["edgar"]
    assert [found.name for found in principal.client.schemas.list("edgar")] == ["raw"]
    assert [found.name for found in principal.client.tables.list("edgar", "raw")] == ["filings"]


def test_grants_to_account_users_hold_for_everybody(
    admin: WorkspaceClient, principal: Principal
) -> None:
    permit(admin, "account users", MODELS, add=["BROWSE"])
    assert principal.client.registered_models.get("edgar.models.analyst").name == "analyst"
    permit(admin, "account users", MODELS, remove=["BROWSE"])
    with pytest.raises(PermissionDenied):
        principal.client.registered_models.get("edgar.models.analyst")
