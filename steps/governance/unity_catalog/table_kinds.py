"""Which kinds of Unity Catalog tables can be read from their own Delta files."""

from databricks.sdk.service.catalog import DataSourceFormat, TableInfo, TableType

from steps.governance.errors import AccessDenied, GovernanceError
from steps.governance.names import UcName

_COPY = "copy its rows into a Delta table (CREATE TABLE … AS SELECT), and name that one"
_SOURCE = "name the table that it was cloned from, or make a deep clone"
# Kinds whose rows cannot be read with credentials for their own location. The SDK returns None for
# a kind that it does not know; format, location and log then decide
# [databricks-sdk 0.156, service.catalog.TableType].
_WITHOUT_OWN_FILES = {
    TableType.VIEW: ("a view", _COPY),
    TableType.METRIC_VIEW: ("a metric view", _COPY),
    TableType.MATERIALIZED_VIEW: ("a materialized view", _COPY),
    TableType.STREAMING_TABLE: ("a streaming table", _COPY),
    TableType.FOREIGN: ("a foreign table", _COPY),
    TableType.MANAGED_SHALLOW_CLONE: ("a shallow clone", _SOURCE),
    TableType.EXTERNAL_SHALLOW_CLONE: ("a shallow clone", _SOURCE),
}
# UniForm adds metadata of another format next to the Delta log; the table remains a Delta table
# [unverified on a live account].
_DELTA = {
    DataSourceFormat.DELTA,
    DataSourceFormat.DELTA_UNIFORM_ICEBERG,
    DataSourceFormat.DELTA_UNIFORM_HUDI,
}


def refuse_unreadable(principal: str, name: UcName, info: TableInfo) -> None:
    """Refuse a table whose rows are not exactly those of its Delta files.

    Reading the files of a table with row filters or column masks would bypass these.

    Raises:
        AccessDenied: the table has a row filter or column masks.
        GovernanceError: the table is a view, a clone or another kind, or not in Delta format.
    """
    if info.table_type in _WITHOUT_OWN_FILES:
        kind, instead = _WITHOUT_OWN_FILES[info.table_type]
        raise GovernanceError(
            f"table {name} is {kind}, which cannot be used: it has no Delta files for its rows",
            expected="an external or managed Delta table",
            got=f"table_type {info.table_type.value}",
            do=instead,
        )
    masked = [column.name for column in info.columns or [] if column.mask is not None]
    if info.row_filter is not None or masked:
        what = f"column masks on {', '.join(map(str, masked))}" if masked else "a row filter"
        raise AccessDenied(
            f"{principal} was refused: read table {name}",
            expected="a table without row filters and column masks, whose files may be read whole",
            got=what,
            do="prepare a table that holds only what this principal may see",
        )
    if info.data_source_format not in _DELTA:
        found = info.data_source_format
        raise GovernanceError(
            f"table {name} is not a Delta table and cannot be used",
            expected="a Delta table",
            got="a format that this version does not know"
            if found is None
            else f"the format {found.value}",
            do="copy its rows into a Delta table, and name that one",
        )
