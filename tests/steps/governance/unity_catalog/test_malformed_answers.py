"""An answer of another shape, and a refusal, are typed errors of this project."""

from typing import Any

import pytest

from steps.governance.errors import (
    ContainerNotFound,
    GovernanceError,
    IdentityRefused,
    InvalidRequest,
    MalformedAnswer,
    NotFound,
)
from steps.governance.names import metadata_name
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.lineage import Lineage, job, table
from steps.governance.unity_catalog.refusals import translated
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.governance.support.troubled_server import Answer, Troubled
from tests.steps.governance.support.workspace_calls import NAME, TABLE, VENDED, create_table, vend

WRONG = ["[]", '"text"', "7", "null", "true", "<html>login</html>", "", "{", '{"a":']


@pytest.mark.parametrize("body", WRONG)
@pytest.mark.parametrize("call", ["table", "vend", "schema", "edges", "node", "create"])
def test_an_answer_that_is_no_json_object_is_one_typed_error(
    workspace: Workspace, server: Troubled, clock: FakedClock, body: str, call: str
) -> None:
    catalog, lineage, end = Catalog(workspace), Lineage(workspace), table(NAME)
    calls: dict[str, Any] = {
        "table": lambda: catalog.table(NAME),
        "vend": lambda: vend(workspace),
        "schema": lambda: catalog.require_schema(NAME),
        "edges": lambda: lineage.ensure_edge(end, job(metadata_name("a"))),
        "node": lambda: workspace.client.external_metadata.get_external_metadata("x"),
        "create": lambda: create_table(workspace) if body else catalog.table(NAME),
    }
    server.script = [Answer(body=body)]
    with pytest.raises(MalformedAnswer, match="could not be read"), translated("p", "look it up"):
        calls[call]()
    assert clock.pauses == []


def test_an_effect_may_be_answered_with_nothing(workspace: Workspace, server: Troubled) -> None:
    server.script = [Answer(body="")]
    create_table(workspace)


@pytest.mark.parametrize(
    "body",
    [
        *(
            '{"columns": "text"}',
            '{"columns": [1]}',
            '{"columns": {"a": 1}}',
            '{"row_filter": "f"}',
            '{"columns": [null]}',
        ),
        *(
            '{"table_id": 7, "storage_location": "s3://b"}',
            '{"table_id": "1", "storage_location": ["s3://b"]}',
            "{}",
        ),
    ],
)
def test_fields_of_other_types_are_a_typed_error(
    workspace: Workspace, server: Troubled, body: str
) -> None:
    merged = body.replace("{", '{"data_source_format": "DELTA", ', 1).replace(", }", "}")
    server.script = [Answer(body=merged)]
    with pytest.raises(GovernanceError):
        Catalog(workspace).table(NAME)


@pytest.mark.parametrize(
    "body",
    [
        '{"aws_temp_credentials": "text"}',
        (
            '{"aws_temp_credentials": {"access_key_id": 1, "secret_access_key": "s", '
            '"session_token": "t"}}'
        ),
        VENDED.replace("1900000000000", '"soon"'),
        VENDED.replace("1900000000000", "null"),
        VENDED.replace("1900000000000", "1e300"),
        VENDED.replace("1900000000000", "[]"),
    ],
)
def test_a_credential_of_another_shape_is_a_typed_error(
    workspace: Workspace, server: Troubled, body: str
) -> None:
    server.script = [Answer(body=TABLE), Answer(body=body)]
    catalog = Catalog(workspace)
    found = catalog.table(NAME)
    with pytest.raises(MalformedAnswer):
        catalog.read_access(found)


@pytest.mark.parametrize(
    "relation", ['"text"', "[]", '{"source": {}}', '{"source": null, "target": "x"}', "7"]
)
def test_an_edge_of_another_shape_is_a_typed_error(
    workspace: Workspace, server: Troubled, relation: str
) -> None:
    server.script = [
        Answer(
            body='{"external_lineage_relationships": [{"external_lineage_info": ' + relation + "}]}"
        )
    ]
    with pytest.raises(MalformedAnswer):
        Lineage(workspace).ensure_edge(table(NAME), job(metadata_name("a")))


def test_a_fault_of_our_own_is_not_blamed_on_the_workspace() -> None:
    with pytest.raises(TypeError), translated("p", "call"):
        len(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"error_code": "TABLE_DOES_NOT_EXIST", "message": "Table does not exist."}', NotFound),
        ('{"error_code": "SCHEMA_DOES_NOT_EXIST", "message": "no"}', ContainerNotFound),
        ('{"error_code": "CATALOG_DOES_NOT_EXIST", "message": "no"}', ContainerNotFound),
        (
            '{"error_code": "NOT_FOUND", "message": "Schema \'edgar.x\' does not exist."}',
            ContainerNotFound,
        ),
    ],
)
def test_a_missing_schema_is_another_error_than_a_missing_object(
    workspace: Workspace, server: Troubled, body: str, kind: type[Exception]
) -> None:
    server.script = [Answer(404, body)]
    with pytest.raises(NotFound, match="the workspace found nothing while the-princ") as error:
        Catalog(workspace).table(NAME)
    assert type(error.value) is kind


def test_a_refused_request_keeps_the_services_code_and_text(
    workspace: Workspace, server: Troubled
) -> None:
    server.script = [Answer(400, '{"error_code": "SOMETHING_NEW", "message": "not like this"}')]
    with pytest.raises(InvalidRequest, match=r"the workspace refused (.|\n)*SOMETHING_NEW: not"):
        Catalog(workspace).table(NAME)


def test_a_proxys_page_with_a_401_is_named_by_the_status(
    workspace: Workspace, server: Troubled
) -> None:
    """databricks-sdk calls it a bug of itself, and asks the reader to report it."""
    server.script = [Answer(401, body="<html>418 blocked</html>")]
    with pytest.raises(IdentityRefused, match="HTTP 401 without the JSON of a workspace") as error:
        Catalog(workspace).table(NAME)
    assert "bug" not in str(error.value)
    assert "418" not in str(error.value)
