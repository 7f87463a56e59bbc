"""Properties and columns of metadata and edges: kept as given, and refused beyond limits."""

import secrets
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest
from databricks.sdk.service import catalog as uc

from pipeline.local.workspace.lineage import limits

PATH = "/api/2.0/lineage-tracking"
FILINGS = {"table": {"name": "edgar.raw.filings"}}

PROPERTIES: list[tuple[Any, str]] = [
    ({str(number): "" for number in range(limits.MOST_PROPERTIES + 1)}, "at most 50, got 51"),
    ({"k" * (limits.MOST_KEY_CHARACTERS + 1): "v"}, "characters of a name"),
    ({"": "v"}, "characters of a name"),
    ({"k": "v" * (limits.MOST_VALUE_CHARACTERS + 1)}, "of a value"),
    ({"k": 1}, "texts by name"),
    (["k"], "texts by name"),
]
LONG = "c" * (limits.MOST_COLUMN_CHARACTERS + 1)


def create(admin: WorkspaceClient, **fields: Any) -> str:
    name = f"ft_{secrets.token_hex(12)}"
    body = {"name": name, "system_type": "OTHER", "entity_type": "job"} | fields
    admin.api_client.do("POST", f"{PATH}/external-metadata", body=body)
    return name


def relate(admin: WorkspaceClient, name: str, method: str = "POST", **fields: Any) -> None:
    body = {"source": FILINGS, "target": {"external_metadata": {"name": name}}} | fields
    query = {} if method == "POST" else {"update_mask": ",".join(fields)}
    admin.api_client.do(method, f"{PATH}/external-lineage", query=query, body=body)


def test_what_is_within_the_limits_is_kept(admin: WorkspaceClient) -> None:
    properties = {
        f"{number:0{limits.MOST_KEY_CHARACTERS}}": "v" * limits.MOST_VALUE_CHARACTERS
        for number in range(limits.MOST_PROPERTIES)
    }
    columns = [
        f"{number:0{limits.MOST_COLUMN_CHARACTERS}}" for number in range(limits.MOST_COLUMNS)
    ]
    name = create(admin, properties=properties, columns=columns)
    found = admin.external_metadata.get_external_metadata(name)
    assert (found.properties, found.columns) == (properties, columns)
    relations = [{"source": column, "target": column} for column in columns]
    relate(admin, name, columns=relations, properties=properties)
    end = uc.ExternalLineageObject(external_metadata=uc.ExternalLineageExternalMetadata(name))
    (edge,) = admin.external_lineage.list_external_lineage_relationships(
        end, uc.LineageDirection.UPSTREAM
    )
    assert edge.external_lineage_info.properties == properties
    assert [pair.as_dict() for pair in edge.external_lineage_info.columns] == relations


@pytest.mark.parametrize(("properties", "named"), PROPERTIES)
def test_properties_beyond_a_limit_are_refused(
    admin: WorkspaceClient, properties: Any, named: str
) -> None:
    with pytest.raises(BadRequest, match=named):
        create(admin, properties=properties)
    name = create(admin)
    with pytest.raises(BadRequest, match=named):
        relate(admin, name, properties=properties)
    relate(admin, name)
    with pytest.raises(BadRequest, match=named):
        relate(admin, name, "PATCH", properties=properties)


@pytest.mark.parametrize(
    "columns", [["c"] * (limits.MOST_COLUMNS + 1), [LONG], [""], [1], {"c": "c"}]
)
def test_columns_of_metadata_beyond_a_limit_are_refused(
    admin: WorkspaceClient, columns: Any
) -> None:
    with pytest.raises(BadRequest, match="columns"):
        create(admin, columns=columns)


@pytest.mark.parametrize(
    "columns",
    [
        [{"source": "a", "target": "b"}] * (limits.MOST_COLUMNS + 1),
        [{"source": LONG, "target": "b"}],
        [{"source": "a", "target": ""}],
        [{"source": "a"}],
        ["a"],
    ],
)
def test_columns_of_an_edge_beyond_a_limit_are_refused(
    admin: WorkspaceClient, columns: Any
) -> None:
    with pytest.raises(BadRequest, match="columns"):
        relate(admin, create(admin), columns=columns)
