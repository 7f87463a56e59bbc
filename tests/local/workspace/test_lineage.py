"""External metadata and lineage through databricks-sdk: shapes, directions, pages, rights."""

import secrets
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import AlreadyExists, BadRequest, NotFound, PermissionDenied
from databricks.sdk.service import catalog as uc

from tests.local.workspace.support.workspace_client import (
    CATALOG,
    METASTORE,
    MODEL,
    TABLE,
    Principal,
    create_version,
    fill,
    permit,
)

FILINGS = uc.ExternalLineageObject(table=uc.ExternalLineageTable(name="edgar.raw.filings"))
VERSION = uc.ExternalLineageObject(
    model_version=uc.ExternalLineageModelVersion(name="edgar.models.analyst", version="1")
)
UP, DOWN = uc.LineageDirection.UPSTREAM, uc.LineageDirection.DOWNSTREAM


@pytest.fixture(scope="module", autouse=True)
def version(admin: WorkspaceClient) -> None:
    admin.registered_models.create(name="analyst", catalog_name="edgar", schema_name="models")
    create_version(admin)


def metadata(client: WorkspaceClient, **more: Any) -> str:
    name = f"ft_{secrets.token_hex(12)}"
    known = {"system_type": uc.SystemType.OTHER, "entity_type": "SageMakerTrainingJob"} | more
    client.external_metadata.create_external_metadata(uc.ExternalMetadata(name=name, **known))
    return name


def job(name: str) -> uc.ExternalLineageObject:
    return uc.ExternalLineageObject(external_metadata=uc.ExternalLineageExternalMetadata(name=name))


def edge(source: uc.ExternalLineageObject, target: uc.ExternalLineageObject, **more: Any) -> Any:
    return uc.CreateRequestExternalLineage(source=source, target=target, **more)


def create(
    client: WorkspaceClient, *ends: uc.ExternalLineageObject, **more: Any
) -> uc.ExternalLineageRelationship:
    return client.external_lineage.create_external_lineage_relationship(edge(*ends, **more))


def neighbours(
    client: WorkspaceClient, end: uc.ExternalLineageObject, way: uc.LineageDirection, **more: Any
) -> Any:
    return list(client.external_lineage.list_external_lineage_relationships(end, way, **more))


def test_metadata_keeps_its_fields_with_creator_and_time(admin: WorkspaceClient) -> None:
    name = metadata(
        admin,
        properties={"sha256": "ab"},
        columns=["x"],
        url="https://example.com",
        description="a job",
    )
    found = admin.external_metadata.get_external_metadata(name)
    assert (found.name, found.system_type, found.entity_type) == (
        name,
        uc.SystemType.OTHER,
        "SageMakerTrainingJob",
    )
    assert (found.properties, found.columns, found.description) == (
        {"sha256": "ab"},
        ["x"],
        "a job",
    )
    assert found.owner == found.created_by == admin.current_user.me().user_name
    assert found.create_time
    assert found.id


def test_a_metadata_name_is_taken_once(admin: WorkspaceClient) -> None:
    name = metadata(admin)
    again = uc.ExternalMetadata(name=name, system_type=uc.SystemType.OTHER, entity_type="x")
    with pytest.raises(AlreadyExists, match=name):
        admin.external_metadata.create_external_metadata(again)


@pytest.mark.parametrize("name", ["with space", "with-dash", "a.b", ""])
def test_a_metadata_name_holds_letters_digits_and_underscores(
    admin: WorkspaceClient, name: str
) -> None:
    wrong = uc.ExternalMetadata(name=name, system_type=uc.SystemType.OTHER, entity_type="x")
    with pytest.raises(BadRequest, match=r"not a valid name|Missing required field: name"):
        admin.external_metadata.create_external_metadata(wrong)


def test_an_update_changes_what_its_mask_names(admin: WorkspaceClient) -> None:
    name = metadata(admin, description="before", properties={"a": "1"})
    new = uc.ExternalMetadata(
        name=name,
        system_type=uc.SystemType.OTHER,
        entity_type="x",
        description="after",
        properties={"a": "2"},
    )
    admin.external_metadata.update_external_metadata(name, new, update_mask="description")
    found = admin.external_metadata.get_external_metadata(name)
    assert (found.description, found.properties, found.entity_type) == (
        "after",
        {"a": "1"},
        "SageMakerTrainingJob",
    )
    for mask in ("made_up", "", "owner,description"):
        with pytest.raises(BadRequest, match="update_mask"):
            admin.external_metadata.update_external_metadata(name, new, update_mask=mask)


def test_metadata_is_listed_page_by_page(admin: WorkspaceClient) -> None:
    names = {metadata(admin) for _ in range(5)}
    found = [one.name for one in admin.external_metadata.list_external_metadata(page_size=2)]
    assert names <= set(found)
    assert len(found) == len(set(found))
    with pytest.raises(BadRequest, match="at most 1000"):
        list(admin.external_metadata.list_external_metadata(page_size=1001))


def test_lineage_walks_from_the_model_back_to_the_raw_table(admin: WorkspaceClient) -> None:
    name = metadata(admin)
    columns = [uc.ColumnRelationship(source="item_1a", target="prompt")]
    create(admin, FILINGS, job(name), columns=columns, properties={"execution": "e1"})
    create(admin, job(name), VERSION)
    above = next(
        one for one in neighbours(admin, VERSION, UP) if one.external_metadata_info.name == name
    )
    assert above.external_metadata_info.entity_type == "SageMakerTrainingJob"
    (before,) = neighbours(admin, job(name), UP)
    table = before.table_info
    assert (table.catalog_name, table.schema_name, table.name) == ("edgar", "raw", "filings")
    assert before.external_lineage_info.properties == {"execution": "e1"}
    assert before.external_lineage_info.columns == columns
    (after,) = neighbours(admin, job(name), DOWN)
    assert (after.model_info.model_name, after.model_info.version) == ("edgar.models.analyst", 1)
    assert name in [one.external_metadata_info.name for one in neighbours(admin, FILINGS, DOWN)]


def test_edges_are_listed_page_by_page(admin: WorkspaceClient) -> None:
    name = metadata(admin)
    others = [metadata(admin) for _ in range(5)]
    for other in others:
        create(admin, job(name), job(other))
    found = neighbours(admin, job(name), DOWN, page_size=2)
    assert [one.external_metadata_info.name for one in found] == others


def test_a_path_can_be_an_end(admin: WorkspaceClient) -> None:
    path = uc.ExternalLineageObject(
        path=uc.ExternalLineagePath(url="s3://governed/raw/filings/part-0")
    )
    name = metadata(admin)
    create(admin, path, job(name))
    (found,) = neighbours(admin, job(name), UP)
    assert found.file_info.path == "s3://governed/raw/filings/part-0"


def test_one_end_is_always_external_metadata(admin: WorkspaceClient) -> None:
    with pytest.raises(BadRequest, match="At least one of source and target"):
        create(admin, FILINGS, VERSION)


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"table": {"catalog_name": "edgar", "schema_name": "raw", "name": 1}},
        {"table": {"name": "edgar.raw.filings"}, "path": {"url": "s3://governed/raw"}},
        {"model_version": {"name": "edgar.models.analyst", "version": 1}},
        {"volume": {"name": "edgar.raw.files"}},
    ],
)
def test_an_end_of_another_shape_is_refused(admin: WorkspaceClient, source: dict[str, Any]) -> None:
    body = {"source": source, "target": job(metadata(admin)).as_dict()}
    with pytest.raises(BadRequest):
        admin.api_client.do("POST", "/api/2.0/lineage-tracking/external-lineage", body=body)


def test_an_end_that_does_not_exist_is_not_found(admin: WorkspaceClient) -> None:
    missing = uc.ExternalLineageObject(table=uc.ExternalLineageTable(name="edgar.raw.nothing"))
    with pytest.raises(NotFound, match=r"edgar\.raw\.nothing"):
        create(admin, missing, job(metadata(admin)))
    with pytest.raises(NotFound, match="ft_missing"):
        create(admin, FILINGS, job("ft_missing"))


def test_a_second_edge_between_the_same_ends_is_stored_too(
    admin: WorkspaceClient,
) -> None:
    name = metadata(admin)
    first, second = create(admin, FILINGS, job(name)), create(admin, FILINGS, job(name))
    assert first.id != second.id
    assert len(neighbours(admin, job(name), UP)) == 2
    admin.external_lineage.delete_external_lineage_relationship(
        uc.DeleteRequestExternalLineage(source=FILINGS, target=job(name), id=second.id)
    )
    assert [one.external_lineage_info.id for one in neighbours(admin, job(name), UP)] == [first.id]


def test_where_duplicates_are_refused_the_second_edge_exists_already(
    start_workspace: Any, tmp_path: Path
) -> None:
    workspace = start_workspace(tmp_path, "--lineage-duplicates", "refuse")
    fill(workspace)
    admin = workspace.admin
    name = metadata(admin)
    create(admin, FILINGS, job(name))
    with pytest.raises(AlreadyExists):
        create(admin, FILINGS, job(name))


def test_edges_are_updated_and_deleted_by_their_ends(admin: WorkspaceClient) -> None:
    name = metadata(admin)
    create(admin, FILINGS, job(name), properties={"a": "1"})
    new = uc.UpdateRequestExternalLineage(source=FILINGS, target=job(name), properties={"a": "2"})
    admin.external_lineage.update_external_lineage_relationship(new, update_mask="properties")
    (found,) = neighbours(admin, job(name), UP)
    assert found.external_lineage_info.properties == {"a": "2"}
    gone = uc.DeleteRequestExternalLineage(source=FILINGS, target=job(name))
    admin.external_lineage.delete_external_lineage_relationship(gone)
    assert neighbours(admin, job(name), UP) == []
    with pytest.raises(NotFound, match="does not exist"):
        admin.external_lineage.delete_external_lineage_relationship(gone)


def test_metadata_takes_its_edges_with_it(admin: WorkspaceClient) -> None:
    name, other = metadata(admin), metadata(admin)
    create(admin, job(name), job(other))
    admin.external_metadata.delete_external_metadata(name)
    assert neighbours(admin, job(other), UP) == []
    with pytest.raises(NotFound):
        admin.external_metadata.get_external_metadata(name)


@pytest.fixture
def lister(admin: WorkspaceClient, principal: Principal) -> Principal:
    """Somebody who may use the containers, and own metadata."""
    permit(admin, principal.client_id, CATALOG, add=["USE_CATALOG"])
    for schema in ("raw", "models"):
        permit(admin, principal.client_id, ("SCHEMA", f"edgar.{schema}"), add=["USE_SCHEMA"])
    permit(admin, principal.client_id, METASTORE, add=["CREATE_EXTERNAL_METADATA"])
    return principal


def test_an_edge_away_from_a_table_needs_select_and_one_into_it_modify(
    admin: WorkspaceClient, lister: Principal
) -> None:
    name = metadata(lister.client)
    with pytest.raises(PermissionDenied, match="SELECT on Table"):
        create(lister.client, FILINGS, job(name))
    permit(admin, lister.client_id, TABLE, add=["SELECT"])
    create(lister.client, FILINGS, job(name))
    with pytest.raises(PermissionDenied, match="MODIFY on Table"):
        create(lister.client, job(name), FILINGS)
    permit(admin, lister.client_id, TABLE, add=["MODIFY"])
    create(lister.client, job(name), FILINGS)


def test_an_edge_needs_modify_on_the_metadata(admin: WorkspaceClient, lister: Principal) -> None:
    foreign = metadata(admin)
    assert lister.client.external_metadata.get_external_metadata(foreign).name == foreign
    permit(admin, lister.client_id, TABLE, add=["SELECT"])
    with pytest.raises(PermissionDenied, match=f"MODIFY on External Metadata '{foreign}'"):
        create(lister.client, FILINGS, job(foreign))
    permit(admin, lister.client_id, ("EXTERNAL_METADATA", foreign), add=["MODIFY"])
    create(lister.client, FILINGS, job(foreign))


def test_an_edge_into_a_model_version_is_its_owners(
    admin: WorkspaceClient, lister: Principal
) -> None:
    name = metadata(lister.client)
    permit(admin, lister.client_id, MODEL, add=["EXECUTE"])
    with pytest.raises(PermissionDenied, match="User is not an owner of Routine or Model"):
        create(lister.client, job(name), VERSION)
    create(lister.client, VERSION, job(name))


def test_lineage_is_listed_to_those_who_see_the_object(
    admin: WorkspaceClient, principal: Principal
) -> None:
    with pytest.raises(PermissionDenied, match="USE CATALOG"):
        neighbours(principal.client, FILINGS, DOWN)
    name = metadata(admin)
    assert neighbours(principal.client, job(name), UP) == []
    permit(admin, "account users", ("EXTERNAL_METADATA", name), remove=["BROWSE"])
    with pytest.raises(PermissionDenied, match="BROWSE on External Metadata"):
        principal.client.external_metadata.get_external_metadata(name)
    assert name not in [
        one.name for one in principal.client.external_metadata.list_external_metadata()
    ]
