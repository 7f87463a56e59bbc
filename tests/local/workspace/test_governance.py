"""What a step sees of the catalog: tables and keys where it has the rights, and otherwise an error
that names the principal and the missing right.
"""

from typing import Any

import pytest
from databricks.sdk.service.catalog import ColumnInfo, ColumnTypeName

from steps.governance.errors import AccessDenied, Conflict, NotFound, Unavailable
from steps.governance.names import UcName
from steps.governance.unity_catalog import identity
from steps.governance.unity_catalog.catalog import Catalog
from tests.local.workspace.support.workspace_client import (
    BUCKET,
    CATALOG,
    CURATED,
    CURATED_LOCATION,
    RAW,
    Aws,
    Workspace,
    new_principal,
    permit,
)

FILINGS = UcName.parse("edgar.raw.filings")
READER = {CATALOG: ["USE_CATALOG"], RAW: ["USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA"]}
WRITER = {
    CATALOG: ["USE_CATALOG"],
    CURATED: ["USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE", "EXTERNAL_USE_SCHEMA"],
    CURATED_LOCATION: ["EXTERNAL_USE_LOCATION", "CREATE_EXTERNAL_TABLE"],
}
COLUMNS = [
    ColumnInfo(name="prompt", position=0, type_name=ColumnTypeName.STRING, type_text="string")
]


def catalog_for(workspace: Workspace, grants: Any) -> Catalog:
    somebody = new_principal(workspace, grants)
    return Catalog(identity.Workspace(workspace.host, somebody.client_id, somebody.client))


def test_a_reader_gets_keys_for_that_table_and_no_other_place(
    workspace: Workspace, aws: Aws
) -> None:
    catalog = catalog_for(workspace, READER)
    table = catalog.table(FILINGS)
    access = catalog.read_access(table)
    assert table.location == f"s3://{BUCKET}/raw/filings"
    keys = access.credential()
    s3 = aws.client("s3", keys.access_key_id, keys.secret_access_key, keys.session_token)
    aws.storage.put_object(Bucket=BUCKET, Key="raw/filings/part-0", Body=b"text")
    assert s3.get_object(Bucket=BUCKET, Key="raw/filings/part-0")["Body"].read() == b"text"
    for call in (
        lambda: s3.put_object(Bucket=BUCKET, Key="raw/filings/part-1", Body=b""),
        lambda: s3.get_object(Bucket=BUCKET, Key="raw/other/part-0"),
    ):
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            call()


@pytest.mark.parametrize(
    ("missing", "securable", "expected"),
    [
        ("USE_CATALOG", CATALOG, "USE CATALOG on catalog edgar"),
        ("USE_SCHEMA", RAW, "USE SCHEMA on schema edgar.raw"),
        ("EXTERNAL_USE_SCHEMA", RAW, "EXTERNAL USE SCHEMA on schema edgar.raw"),
        ("SELECT", RAW, "SELECT on table edgar.raw.filings"),
    ],
)
def test_a_refusal_names_principal_object_and_missing_privilege(
    workspace: Workspace, missing: str, securable: Any, expected: str
) -> None:
    catalog = catalog_for(workspace, READER)
    permit(workspace.admin, catalog.principal, securable, remove=[missing])
    with pytest.raises(AccessDenied) as refusal:
        catalog.read_access(catalog.table(FILINGS))
    text = str(refusal.value)
    assert catalog.principal in text
    assert "edgar.raw.filings" in text
    assert f"expected  {expected}" in text
    assert f"GRANT {missing.replace('_', ' ')} ON" in text


def test_reading_rights_write_nothing(workspace: Workspace) -> None:
    catalog = catalog_for(workspace, READER)
    with pytest.raises(AccessDenied, match=r"MODIFY on table edgar\.raw\.filings"):
        catalog.write_access(catalog.table(FILINGS))


def test_a_missing_table_is_none_for_find_and_an_error_for_get(
    workspace: Workspace,
) -> None:
    catalog = catalog_for(workspace, READER)
    absent = UcName.parse("edgar.raw.absent")
    assert catalog.find_table(absent) is None
    with pytest.raises(NotFound, match=r"look up table edgar\.raw\.absent"):
        catalog.table(absent)


def test_a_row_filter_refuses_reading_the_files_whole(workspace: Workspace) -> None:
    body = {"row_filter": {"function_name": "edgar.raw.mine", "input_column_names": []}}
    path = "/api/2.1/unity-catalog/tables/edgar.raw.filings"
    admin = workspace.admin
    admin.api_client.do("PATCH", path, body=body)
    try:
        with pytest.raises(AccessDenied, match=r"edgar\.raw\.filings(.|\n)*a row filter"):
            catalog_for(workspace, READER).table(FILINGS)
    finally:
        admin.api_client.do("PATCH", path, body={"row_filter": None})


def test_a_new_table_is_registered_once_however_often_it_is_asked(workspace: Workspace) -> None:
    catalog = catalog_for(workspace, WRITER)
    name, location = UcName.parse("edgar.curated.examples"), f"s3://{BUCKET}/curated/edgar/examples"
    catalog.create_access(location)
    first = catalog.create_external_table(name, location, columns=COLUMNS, properties={})
    assert catalog.create_external_table(name, location, columns=COLUMNS, properties={}) == first
    with pytest.raises(Conflict, match="is stored elsewhere"):
        catalog.create_external_table(name, f"{location}_2", columns=COLUMNS, properties={})


def test_a_lost_answer_to_the_registration_finds_its_own_table(workspace: Workspace) -> None:
    catalog = catalog_for(workspace, WRITER)
    workspace.faults(
        {"method": "POST", "path": "unity-catalog/tables$", "times": 1, "drop": "after"}
    )
    try:
        table = catalog.create_external_table(
            UcName.parse("edgar.curated.lost"),
            f"s3://{BUCKET}/curated/edgar/lost",
            columns=COLUMNS,
            properties={},
        )
    finally:
        workspace.faults()
    assert catalog.table(table.name) == table


def test_a_workspace_that_stays_silent_is_unavailable(workspace: Workspace) -> None:
    catalog = catalog_for(workspace, READER)
    workspace.faults(
        {"method": "GET", "path": "unity-catalog/tables/", "times": 1000, "status": 503}
    )
    try:
        with pytest.raises(Unavailable, match=r"gave no answer while .* tried to look up table"):
            catalog.table(FILINGS)
    finally:
        workspace.faults()
