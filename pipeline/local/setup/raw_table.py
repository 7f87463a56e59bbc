"""The raw table: unchanged filings in an external Delta table, written with credentials that Unity
Catalog vends.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import (
    AwsCredentials,
    ColumnInfo,
    ColumnTypeName,
    DataSourceFormat,
    PathOperation,
    TableOperation,
    TableType,
)

from pipeline.local.setup.filings import COLUMNS, OPTIONAL, Filings
from pipeline.local.setup.grants import RAW_TABLE
from pipeline.local.setup.rows import Row, Rows
from pipeline.shell import amount

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

_DIGEST = "filings_sha256"  # key of the commit's metadata: the digest of a version's filings
# Of text in one batch for delta-rs; an Arrow string column is limited to 2 GiB.
_BATCH_CHARACTERS = 4 << 20
# A reader decodes a whole row group, and a filing has up to some megabytes of text
_ROW_GROUP_ROWS = 128


def load(admin: WorkspaceClient, location: str, filings: Filings, *, aws: Mapping[str, str]) -> int:
    """Write these filings as the table's newest version; a default set does not replace other
    filings.

    Args:
        admin: a client that may create the table and its files.
        location: the table's URL, `s3://…`.
        filings: the rows, and whether a user gave them.
        aws: AWS_REGION and AWS_ENDPOINT_URL, the endpoint of S3.

    Returns:
        The version that holds them; if the newest one already does, no new one is written.
    """
    return loaded(admin, location, filings, aws=aws)[0]


def loaded(
    admin: WorkspaceClient,
    location: str,
    filings: Filings,
    *,
    aws: Mapping[str, str],
    name: str = RAW_TABLE,
) -> tuple[int, bool]:
    """As `load`; return also whether the table has other filings than these, which were kept."""
    options = _storage_options(admin, location, aws, name)
    table = _existing(location, options)
    other = table is not None and table.history(1)[0].get(_DIGEST) != filings.rows.sha256
    if table is None or (filings.asked_for and other):
        write(location, filings.rows, options)
    _register(admin, location, name, columns(filings.rows))
    written = _existing(location, options)
    assert written is not None  # noqa: S101 - just written
    return int(written.version()), other and not filings.asked_for


def _storage_options(
    admin: WorkspaceClient, location: str, aws: Mapping[str, str], name: str
) -> dict[str, str]:
    keys = _vended(admin, location, name)
    assert keys is not None  # noqa: S101 - AWS workspace
    endpoint = {"AWS_ENDPOINT_URL": aws.get("AWS_ENDPOINT_URL", ""), "AWS_ALLOW_HTTP": "true"}
    return {
        "AWS_ACCESS_KEY_ID": str(keys.access_key_id),
        "AWS_SECRET_ACCESS_KEY": str(keys.secret_access_key),
        "AWS_SESSION_TOKEN": str(keys.session_token),
        "AWS_REGION": aws["AWS_REGION"],
        **(endpoint if aws.get("AWS_ENDPOINT_URL") else {}),
    }


def _vended(admin: WorkspaceClient, location: str, name: str) -> AwsCredentials | None:
    """Return a credential of the table or, before the table exists, of its path."""
    try:
        table = admin.tables.get(name)
    except NotFound:
        return admin.temporary_path_credentials.generate_temporary_path_credentials(
            url=location, operation=PathOperation.PATH_CREATE_TABLE
        ).aws_temp_credentials
    return admin.temporary_table_credentials.generate_temporary_table_credentials(
        table_id=table.table_id, operation=TableOperation.READ_WRITE
    ).aws_temp_credentials


def _existing(location: str, options: dict[str, str]) -> "DeltaTable | None":
    from deltalake import DeltaTable

    if not DeltaTable.is_deltatable(location, storage_options=options):
        return None
    return DeltaTable(location, storage_options=options)


def write(location: str, rows: Rows, options: dict[str, str]) -> None:
    """Replace the table's content by these rows in one commit; the memory needed is that of one
    data file and a batch. What takes over three seconds shows how far it is.
    """
    import pyarrow as pa
    from deltalake import CommitProperties, WriterProperties, write_deltalake

    schema = pa.schema([(column, pa.string()) for column in columns(rows)])
    with amount.shown("loading", len(rows), unit=amount.Unit("filings")) as add:
        batches = _counted(_batches(rows, schema), add)
        write_deltalake(
            location,
            pa.RecordBatchReader.from_batches(schema, batches),
            mode="overwrite",
            schema_mode="overwrite",  # an optional column comes and goes with the filings
            storage_options=options,
            writer_properties=WriterProperties(max_row_group_size=_ROW_GROUP_ROWS),
            commit_properties=CommitProperties(custom_metadata={_DIGEST: rows.sha256}),
        )


def _counted(batches: Iterator["pa.RecordBatch"], add: amount.Add) -> Iterator["pa.RecordBatch"]:
    """Yield the batches; a batch is done when delta-rs asks for the next one."""
    for batch in batches:
        yield batch
        add(batch.num_rows)


def columns(rows: Rows) -> tuple[str, ...]:
    """Return the table's columns for these rows: all, and the optional ones that a row has."""
    return COLUMNS + tuple(name for name in OPTIONAL if name in rows.names)


def _batches(rows: Iterable[Row], schema: "pa.Schema") -> Iterator["pa.RecordBatch"]:
    """Yield the rows as Arrow batches of bounded size; a larger row is a separate batch."""
    import pyarrow as pa

    held: list[Row] = []
    characters = 0
    for row in rows:
        held.append(row)
        characters += sum(len(value) for value in row.values() if value)
        if characters >= _BATCH_CHARACTERS:
            yield pa.RecordBatch.from_pylist(held, schema=schema)
            held, characters = [], 0
    if held:
        yield pa.RecordBatch.from_pylist(held, schema=schema)


def _register(admin: WorkspaceClient, location: str, full_name: str, names: Sequence[str]) -> None:
    catalog, schema, name = full_name.split(".")
    try:
        admin.tables.get(full_name)
    except NotFound:
        admin.tables.create(
            name=name,
            catalog_name=catalog,
            schema_name=schema,
            table_type=TableType.EXTERNAL,
            data_source_format=DataSourceFormat.DELTA,
            storage_location=location,
            columns=[
                ColumnInfo(
                    name=column,
                    position=position,
                    type_name=ColumnTypeName.STRING,
                    type_text="string",
                )
                for position, column in enumerate(names)
            ],
        )
