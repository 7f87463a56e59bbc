"""Unity Catalog as a job sees it: tables by name, and the right to read or write their storage.

    catalog = Catalog(workspace)
    table = catalog.table(UcName.parse("edgar.raw.filings"))
    access = catalog.read_access(table)          # vended: READ on this table only

External calls: get and credential vending are reads, repeated as `governance.retrying` says. Creating a table is sent
once; after a lost answer the table is looked for before it is sent again. A conflict is answered by reading the table
back and comparing locations.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from databricks.sdk.service.catalog import (
    ColumnInfo,
    DataSourceFormat,
    PathOperation,
    TableInfo,
    TableOperation,
    TableType,
)
from databricks.sdk.service.catalog import (
    GenerateTemporaryPathCredentialResponse as PathAnswer,
)
from databricks.sdk.service.catalog import (
    GenerateTemporaryTableCredentialResponse as TableAnswer,
)

from steps.governance.credentials import Access, Credential, utc_now
from steps.governance.errors import (
    AccessDenied,
    Conflict,
    GovernanceError,
    MalformedAnswer,
    NotFound,
)
from steps.governance.identity import Workspace
from steps.governance.names import UcName
from steps.governance.refusals import malformed, translated
from steps.governance.retrying import settle

_COPY = "copy its rows into a Delta table (CREATE TABLE … AS SELECT), and name that one"
_SOURCE = "name the table that it was cloned from, or make a deep clone"
# Kinds of securables of the tables API whose rows cannot be had with credentials for their own location. A kind that the SDK does
# not know yet comes as None: then format, location and log decide [databricks-sdk 0.156, service.catalog.TableType].
_NO_FILES_OF_ITS_OWN = {
    TableType.VIEW: ("a view", _COPY),
    TableType.METRIC_VIEW: ("a metric view", _COPY),
    TableType.MATERIALIZED_VIEW: ("a materialized view", _COPY),
    TableType.STREAMING_TABLE: ("a streaming table", _COPY),
    TableType.FOREIGN: ("a foreign table", _COPY),
    TableType.MANAGED_SHALLOW_CLONE: ("a shallow clone", _SOURCE),
    TableType.EXTERNAL_SHALLOW_CLONE: ("a shallow clone", _SOURCE),
}
# UniForm adds metadata of another format beside the Delta log; the table is a Delta table [unverified on a live account].
_DELTA = {
    DataSourceFormat.DELTA,
    DataSourceFormat.DELTA_UNIFORM_ICEBERG,
    DataSourceFormat.DELTA_UNIFORM_HUDI,
}


@dataclass(frozen=True)
class Table:
    """A Delta table that Unity Catalog governs: its name, its stable id and its storage location."""

    name: UcName
    table_id: str
    location: str


class Catalog:
    """Tables and their credentials, for the principal of one workspace connection."""

    def __init__(self, workspace: Workspace) -> None:
        self.principal = workspace.principal
        self._client = workspace.client
        self._policy = workspace.policy

    def table(self, name: UcName) -> Table:
        """Look a table up.

        Raises:
            NotFound: there is no such table.
            AccessDenied: the principal may not see it, or it has row filters or column masks, which reading its files
                would bypass.
            GovernanceError: it is a view, a clone or another kind whose rows are not in Delta files of its own.
        """
        with translated(self.principal, f"look up table {name}"):
            info = self._client.tables.get(str(name))
        _refuse_unreadable(self.principal, name, info)
        if not _all_text(info.table_id, info.storage_location):
            raise malformed(
                self.principal, f"look up table {name}", "a table without id or location"
            )
        return Table(name, str(info.table_id), str(info.storage_location).rstrip("/"))

    def find_table(self, name: UcName) -> Table | None:
        """The table, or None where there is none yet."""
        try:
            return self.table(name)
        except NotFound:
            return None

    def require_schema(self, name: UcName) -> None:
        """Make sure that the schema is there in which a table of this name would stand.

        Raises:
            NotFound: there is no such schema.
            AccessDenied: the principal may not use it.
        """
        with translated(self.principal, f"look up schema {name.schema_name}"):
            self._client.schemas.get(name.schema_name)

    def read_access(self, table: Table) -> Access:
        """The right to read this table's files and nothing else."""
        return self._table_access(table, TableOperation.READ)

    def write_access(self, table: Table) -> Access:
        """The right to read and write this table's files and nothing else."""
        return self._table_access(table, TableOperation.READ_WRITE)

    def create_access(self, location: str) -> Access:
        """The right to write files where a new external table will stand."""

        def vend() -> Credential:
            with translated(self.principal, f"write a new table at {location}"):
                answer = (
                    self._client.temporary_path_credentials.generate_temporary_path_credentials(
                        url=location, operation=PathOperation.PATH_CREATE_TABLE
                    )
                )
            return _credential(answer, location)

        return Access(location, vend)

    def create_external_table(
        self,
        name: UcName,
        location: str,
        *,
        columns: list[ColumnInfo],
        properties: Mapping[str, str],
    ) -> Table:
        """Register a Delta table that already stands at `location`; a repeated call finds the first one's table.

        Raises:
            Conflict: the name is taken by a table at another location.
        """

        def create() -> None:
            with translated(self.principal, f"register table {name}"):
                self._client.tables.create(
                    name=name.name,
                    catalog_name=name.catalog,
                    schema_name=name.schema,
                    table_type=TableType.EXTERNAL,
                    data_source_format=DataSourceFormat.DELTA,
                    storage_location=location,
                    columns=columns,
                    properties=dict(properties),
                )

        with suppress(Conflict):  # somebody registered it first; whose table it is shows below
            settle(
                create,
                present=lambda: bool(self.find_table(name)),
                doing=f"create {name}",
                policy=self._policy,
            )
        table = self.table(name)
        if table.location != location.rstrip("/"):
            raise Conflict(
                f"table {name} stands elsewhere",
                expected=location,
                got=table.location,
                do="choose another CuratedTable, or drop the one that stands there",
            )
        return table

    def _table_access(self, table: Table, operation: TableOperation) -> Access:
        doing = f"{'read' if operation is TableOperation.READ else 'write'} table {table.name}"

        def vend() -> Credential:
            with translated(self.principal, doing):
                answer = (
                    self._client.temporary_table_credentials.generate_temporary_table_credentials(
                        operation=operation, table_id=table.table_id
                    )
                )
            return _credential(answer, table.location)

        return Access(table.location, vend)


def _refuse_unreadable(principal: str, name: UcName, info: TableInfo) -> None:
    """Refuse what cannot be read truly from a table's own files; those also would bypass row filters and column masks."""
    if info.table_type in _NO_FILES_OF_ITS_OWN:
        kind, instead = _NO_FILES_OF_ITS_OWN[info.table_type]
        raise GovernanceError(
            f"table {name} is {kind}, which cannot be used: its rows are not in Delta files of its own",
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
            f"table {name} is no Delta table and cannot be used",
            expected="a Delta table",
            got="a format that this version does not know"
            if found is None
            else f"the format {found.value}",
            do="copy its rows into a Delta table, and name that one",
        )


def _credential(answer: TableAnswer | PathAnswer, location: str) -> Credential:
    keys = answer.aws_temp_credentials
    if keys is None or not _all_text(
        keys.access_key_id, keys.secret_access_key, keys.session_token
    ):
        raise MalformedAnswer(f"Unity Catalog vended no AWS credential for {location}")
    try:
        expires_at = datetime.fromtimestamp(
            int(answer.expiration_time or 0) / 1000, UTC
        )  # epoch milliseconds
    except (TypeError, ValueError, OverflowError, OSError):
        expires_at = None
    if expires_at is None or not answer.expiration_time:
        raise MalformedAnswer(f"Unity Catalog vended a credential without an expiry for {location}")
    return Credential(
        str(keys.access_key_id),
        str(keys.secret_access_key),
        str(keys.session_token),
        issued_at=utc_now(),
        expires_at=expires_at,
    )


def _all_text(*values: object) -> bool:
    return all(isinstance(value, str) and value for value in values)
