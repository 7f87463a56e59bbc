"""A table's type and format are checked before its files are read, also unknown ones."""

from typing import Any, cast

import pytest
from databricks.sdk.service.catalog import DataSourceFormat, TableInfo, TableType

from steps.governance.errors import GovernanceError
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.retrying import Policy

NAME = UcName.parse("edgar.raw.filings")
KINDS = {
    "VIEW": "a view",
    "METRIC_VIEW": "a metric view",
    "MATERIALIZED_VIEW": "a materialized view",
    "STREAMING_TABLE": "a streaming table",
    "FOREIGN": "a foreign table",
    "MANAGED_SHALLOW_CLONE": "a shallow clone",
    "EXTERNAL_SHALLOW_CLONE": "a shallow clone",
}


class Answering:
    """A workspace client whose `tables.get` answers one document, parsed by the SDK."""

    principal = "application-id"
    policy = Policy()

    def __init__(self, **changes: Any) -> None:
        document = {
            "table_id": "1",
            "storage_location": "s3://b/t/",
            "table_type": "EXTERNAL",
            "data_source_format": "DELTA",
        }
        self.document = {
            name: value for name, value in (document | changes).items() if value is not None
        }

    @property
    def client(self) -> "Answering":
        return self

    @property
    def tables(self) -> "Answering":
        return self

    def get(self, _: str) -> TableInfo:
        return TableInfo.from_dict(self.document)


def catalog(**changes: Any) -> Catalog:
    return Catalog(cast("Workspace", Answering(**changes)))


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("form", ["DELTA", None])
def test_a_kind_without_files_of_its_own_is_refused_by_name(kind: str, form: str | None) -> None:
    for look_up in ("table", "find_table"):
        with pytest.raises(
            GovernanceError, match=f"table {NAME} is {KINDS[kind]}, which cannot be used"
        ) as refused:
            getattr(
                catalog(table_type=kind, data_source_format=form, storage_location=None), look_up
            )(NAME)
        assert f"table_type {kind}" in str(refused.value)


def test_every_type_that_the_sdk_knows_is_decided_on() -> None:
    assert {kind.value for kind in TableType} == set(KINDS) | {"EXTERNAL", "MANAGED"}


@pytest.mark.parametrize(
    "form",
    sorted(
        {each.value for each in DataSourceFormat if "DELTA" not in each.value} | {"DELTASHARING"}
    ),
)
def test_another_format_is_refused_by_name(form: str) -> None:
    with pytest.raises(GovernanceError, match="is not a Delta table and cannot be used") as refused:
        catalog(data_source_format=form).table(NAME)
    assert f"the format {form}" in str(refused.value)


def test_a_format_that_nobody_knows_yet_is_refused() -> None:
    with pytest.raises(GovernanceError, match="is not a Delta table") as refused:
        catalog(data_source_format="LANCE").table(NAME)
    assert "a format that this version does not know" in str(refused.value)


@pytest.mark.parametrize("kind", ["EXTERNAL", "MANAGED", "A_KIND_OF_NEXT_YEAR", None])
@pytest.mark.parametrize("form", ["DELTA", "DELTA_UNIFORM_ICEBERG"])
def test_a_delta_table_with_a_location_is_read_for_any_table_type(
    kind: str | None, form: str
) -> None:
    assert catalog(table_type=kind, data_source_format=form).table(NAME).location == "s3://b/t"
