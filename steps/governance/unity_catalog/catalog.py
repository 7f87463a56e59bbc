"""Unity Catalog for a job: tables by name, and vended credentials for their storage.

    catalog = Catalog(workspace)
    table = catalog.table(UcName.parse("edgar.raw.filings"))
    access = catalog.read_access(table)          # vended: READ on this table only

External calls: get and credential vending are reads and are retried (`governance.retrying`).
Creating a table is sent once; after a lost answer the table is looked up before the request is sent
again. After a conflict the table is read back and its location is compared.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from databricks.sdk.service.catalog import (
    ColumnInfo,
    DataSourceFormat,
    PathOperation,
    TableOperation,
    TableType,
)
from databricks.sdk.service.catalog import (
    GenerateTemporaryPathCredentialResponse as PathAnswer,
)
from databricks.sdk.service.catalog import (
    GenerateTemporaryTableCredentialResponse as TableAnswer,
)

from steps.governance.documents.reading import Reading
from steps.governance.errors import (
    Conflict,
    MalformedAnswer,
    NotFound,
)
from steps.governance.names import UcName
from steps.governance.unity_catalog import granted
from steps.governance.unity_catalog.credentials import Access, Credential, utc_now
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.refusals import malformed, translated
from steps.governance.unity_catalog.retrying import settle
from steps.governance.unity_catalog.table_kinds import refuse_unreadable


@dataclass(frozen=True)
class Table:
    """A Delta table of Unity Catalog: its name, its stable id and its storage location."""

    name: UcName
    table_id: str
    location: str


class Catalog:
    """Tables and their credentials, for the principal of one workspace connection."""

    def __init__(self, workspace: Workspace) -> None:
        self.principal = workspace.principal
        self._workspace = workspace
        self._client = workspace.client
        self._policy = workspace.policy

    def table(self, name: UcName) -> Table:
        """Look a table up.

        Raises:
            NotFound: the table does not exist.
            AccessDenied: the principal may not see it, or it has row filters or column masks,
                which reading its files would bypass.
            GovernanceError: its rows are not in Delta files that belong to it alone (a view, a
                shallow clone, another format).
        """
        with translated(self.principal, f"look up table {name}"):
            info = self._client.tables.get(str(name))
        refuse_unreadable(self.principal, name, info)
        if not _all_text(info.table_id, info.storage_location):
            raise malformed(
                self.principal, f"look up table {name}", "a table without id or location"
            )
        return Table(name, str(info.table_id), str(info.storage_location).rstrip("/"))

    def find_table(self, name: UcName) -> Table | None:
        """Return the table, or None if it does not exist yet."""
        try:
            return self.table(name)
        except NotFound:
            return None

    def require_schema(self, name: UcName) -> None:
        """Require that the schema of this table name exists.

        Raises:
            NotFound: the schema does not exist.
            AccessDenied: the principal may not use it.
        """
        with translated(self.principal, f"look up schema {name.schema_name}"):
            self._client.schemas.get(name.schema_name)

    def read_access(self, table: Table) -> Access:
        """Return the right to read this table's files and nothing else."""
        return self._table_access(table, TableOperation.READ)

    def write_access(self, table: Table) -> Access:
        """Return the right to read and write this table's files and nothing else."""
        return self._table_access(table, TableOperation.READ_WRITE)

    def reading(self, table: Table, access: Access) -> Reading:
        """Return the record of a reading that begins now: by whom, and with which rights."""
        return granted.reading(self._workspace, table.name, access, utc_now())

    def create_access(self, location: str) -> Access:
        """Return the right to write files at the location of a new external table."""

        def vend() -> Credential:
            with translated(self.principal, f"write a new table at {location}"):
                answer = (
                    self._client.temporary_path_credentials.generate_temporary_path_credentials(
                        url=location, operation=PathOperation.PATH_CREATE_TABLE
                    )
                )
            return _credential(answer, location)

        return Access(location, vend, policy=self._policy)

    def create_external_table(
        self,
        name: UcName,
        location: str,
        *,
        columns: list[ColumnInfo],
        properties: Mapping[str, str],
    ) -> Table:
        """Register the Delta table at `location`; a repeated call returns the first call's table.

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

        with suppress(Conflict):  # another process registered the name first: compared below
            settle(
                create,
                present=lambda: bool(self.find_table(name)),
                doing=f"create {name}",
                policy=self._policy,
            )
        return self._at(name, location.rstrip("/"))

    def _at(self, name: UcName, location: str) -> Table:
        table = self.table(name)
        if table.location != location:
            raise Conflict(
                f"table {name} is stored elsewhere",
                expected=location,
                got=table.location,
                do="choose another CuratedTable, or drop the existing table",
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

        return Access(table.location, vend, policy=self._policy)


def _credential(answer: TableAnswer | PathAnswer, location: str) -> Credential:
    keys = answer.aws_temp_credentials
    if keys is None or not _all_text(
        keys.access_key_id, keys.secret_access_key, keys.session_token
    ):
        raise MalformedAnswer(f"Unity Catalog vended no AWS credential for {location}")
    try:
        # Epoch milliseconds
        expires_at = datetime.fromtimestamp(int(answer.expiration_time or 0) / 1000, UTC)
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
