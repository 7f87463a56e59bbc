"""`DeltaStore` by delta-rs: Spark's tasks read and write Parquet, the driver alone reads and commits the Delta log.

Works on every Spark (Sail, Connect, classic) without a Delta jar, and is the only adapter with per-table vended credentials. Those last
about an hour and cannot be renewed inside a running task: for longer jobs use the connector.

A commit is compare-and-swap: it is made for the version after the one just read, or not at all (`max_commit_retries=0`), so between
"this execution has no commit yet" and its commit nobody can slip in, not even the same execution running twice. delta-rs itself accepts a
replayed transaction id, so the id only makes the look-up cheap. A lost answer ends in the same loop and finds its own commit.
"""

import json
import logging
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction, create_table_with_add_actions

from steps.governance.errors import AccessDenied, Conflict, GovernanceError, IntegrityError, NotFound, Unavailable
from steps.governance.manifest import FileEntry
from steps.governance.names import execution_id
from steps.prepare import data_files
from steps.prepare.delta_io import Commit, Content, Place, Provenance, other_columns, same_content, user_metadata
from steps.prepare.schemas import PARTITION
from steps.prepare.session import translated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger(__name__)

_ROWS_PER_FILE = 20_000  # some 40 MB of examples: one task's memory
_COMMIT_ATTEMPTS = 30
_COMMIT_WAIT_SECONDS = 0.05
# Reader features whose files are plain Parquet to us; any other is refused [delta-io/delta PROTOCOL.md, "Table Features"].
_PLAIN = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
_BY_SCAN = {"deletionVectors", "columnMapping"}


class DeltaRsStore:
    """Delta tables through delta-rs, text work through any Spark session."""

    def __init__(self, spark: "SparkSession") -> None:
        self._spark = spark

    def resolve_version(self, place: Place, version: int) -> int:
        """See `DeltaStore`."""
        return int(_open(place, None if version < 0 else version).version())

    def columns(self, place: Place, version: int) -> list[str]:
        """See `DeltaStore`."""
        fields = _open(place, version).schema().fields
        return [field.name for field in fields if field.type == PrimitiveType("string")]

    def rows(self, place: Place, version: int) -> int | None:
        """See `DeltaStore`."""
        table = _open(place, version)
        if _needs_scan(place, table):
            return None  # deleted rows are still counted in the files' statistics
        counted = pa.table(table.get_add_actions(flatten=True))["num_records"].to_pylist()
        return None if None in counted else sum(counted)

    def read(self, place: Place, version: int, columns: Sequence[str]) -> "DataFrame":
        """See `DeltaStore`: one partition per data file, or one for all where files alone would not tell the truth."""
        table = _open(place, version)
        options = place.access.storage_options()
        if _needs_scan(place, table) or set(columns) & set(table.metadata().partition_columns):
            return self._map(1, data_files.scanning(place.location, options, version, columns), _text_ddl(columns))
        paths = pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()
        return self._map(len(paths), data_files.reading(place.location, options, paths, columns), _text_ddl(columns))

    def append(self, frame: "DataFrame", place: Place, content: Content) -> Commit:
        """See `DeltaStore`: stage files, count, commit; then read the files back."""
        found = self._earlier(place, content.provenance)
        if found is None:
            files = self._stage(frame, place, content)
            found = self._commit(place, content, files)
        self._verify(place, found.files)
        return found

    def _map(self, count: int, task: data_files.Task, ddl: str) -> "DataFrame":
        """A frame of what `task` makes of the numbers 0 to count-1, one number per Spark task."""
        return self._spark.range(0, count, 1, max(count, 1)).mapInArrow(task, ddl)

    def _stage(self, frame: "DataFrame", place: Place, content: Content) -> tuple[FileEntry, ...]:
        """Write the data files, which nobody sees before the commit."""
        execution, rows, schema = execution_id(content.provenance.execution_arn), content.rows, content.schema
        task = data_files.writing(place.location, place.access.storage_options(), execution, schema)
        with translated(f"write the data files of table {place.name}"):
            parts = frame.select(*schema.names).repartition(max(1, -(-rows // _ROWS_PER_FILE)), schema.names[0])
            written = parts.mapInArrow(task, data_files.WRITTEN_DDL).collect()
        files = tuple(FileEntry(**row.asDict()) for row in sorted(written, key=lambda row: str(row["path"])))
        if (got := sum(file.rows or 0 for file in files)) != rows:
            raise IntegrityError(
                f"table {place.name} was not committed: rows were lost or doubled while it was written",
                expected=f"{rows} rows",
                got=f"{got} rows",
                do="run again; if it happens again the engine is not deterministic",
            )
        return files

    def _commit(self, place: Place, content: Content, files: Sequence[FileEntry]) -> Commit:
        for _ in range(_COMMIT_ATTEMPTS):
            with _storage(f"commit to table {place.name}"):
                try:
                    _commit_once(place, content, files)
                except (CommitFailedError, _CreatedMeanwhile) as error:
                    log.info("another commit to %s came first (%s), looking again", place.name, type(error).__name__)
                    time.sleep(random.uniform(1, 3) * _COMMIT_WAIT_SECONDS)  # noqa: S311 - no secret: spreads writers
            if (found := self._earlier(place, content.provenance)) is not None:
                return found
        raise Unavailable(
            f"table {place.name} took no commit",
            expected=f"a free version within {_COMMIT_ATTEMPTS} attempts",
            got="other writers were faster each time",
            do="run again when fewer executions write to this table",
        )

    def _earlier(self, place: Place, provenance: Provenance) -> Commit | None:
        """This execution's commit, if it is there and holds this content."""
        with _storage(f"read the log of table {place.name}"):
            table = _opened(place)
            if table is None or table.transaction_version(provenance.execution_arn) is None:
                return None
            for entry in table.history():
                recorded = user_metadata(entry)
                if recorded.get("execution_arn") == provenance.execution_arn:
                    same_content(place, recorded, provenance)
                    version = int(entry["version"])
                    return Commit(version, int(entry["timestamp"]), _files(_open(place, version), provenance))
        raise Conflict(
            f"this execution's commit to table {place.name} is no longer in the log",
            expected="its commit file", got="only its transaction id", do="start a new execution",
        )  # fmt: skip

    def _verify(self, place: Place, files: Sequence[FileEntry]) -> None:
        """Read the committed files back; what the writer reported must be what stands there."""
        paths = [file.path for file in files]
        with translated(f"read back the data files of table {place.name}"):
            task = data_files.hashing(place.location, place.access.storage_options(), paths)
            found = {row["path"]: row for row in self._map(len(paths), task, data_files.WRITTEN_DDL).collect()}
        for file in files:
            got = FileEntry(**found[file.path].asDict())
            if got != file:
                raise IntegrityError(
                    f"a data file of table {place.name} is not what was written: {file.path}",
                    expected=f"{file.size} bytes, sha256 {file.sha256}",
                    got=f"{got.size} bytes, sha256 {got.sha256}",
                    do="find out who else can write there; then start a new execution",
                )


class _CreatedMeanwhile(Exception):
    """Another execution created the table first."""


def _commit_once(place: Place, content: Content, files: Sequence[FileEntry]) -> None:
    schema, provenance = content.schema, content.provenance
    columns = Schema.from_json(schema.delta_json)
    table = _opened(place)
    properties = CommitProperties(
        custom_metadata={**provenance.metadata(), "userMetadata": provenance.user_metadata()},
        max_commit_retries=0,
        app_transactions=[Transaction(provenance.execution_arn, 1)],
    )
    adds = [_add_action(file, provenance) for file in files]
    if table is not None:
        if table.schema() != columns or table.metadata().partition_columns != [PARTITION]:
            raise other_columns(place, schema, table.schema().to_json())
        table.create_write_transaction(adds, "append", columns, [PARTITION], commit_properties=properties)
        return
    try:
        options = place.access.storage_options()
        create_table_with_add_actions(
            place.location, columns, adds, "error", [PARTITION], storage_options=options, commit_properties=properties
        )
    except DeltaError:
        if _opened(place) is None:
            raise
        raise _CreatedMeanwhile from None


def _add_action(file: FileEntry, provenance: Provenance) -> AddAction:
    return AddAction(
        path=file.path,
        size=file.size,
        partition_values={PARTITION: execution_id(provenance.execution_arn)},
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": file.rows}),
    )


def _files(table: DeltaTable, provenance: Provenance) -> tuple[FileEntry, ...]:
    """The files of this execution's partition, as the log and their names (which are their sha256) tell."""
    partition = f"{PARTITION}={execution_id(provenance.execution_arn)}/"
    added = pa.table(table.get_add_actions(flatten=True)).select(["path", "size_bytes", "num_records"]).to_pylist()
    entries = (
        FileEntry(
            path=file["path"],
            size=file["size_bytes"],
            sha256=file["path"].removesuffix(".parquet")[-64:],
            rows=file["num_records"],
        )
        for file in added
        if file["path"].startswith(partition)
    )
    return tuple(sorted(entries, key=lambda file: file.path))


def _needs_scan(place: Place, table: DeltaTable) -> bool:
    """Do deletion vectors or column mapping stand between the files and the rows?

    Raises:
        GovernanceError: the table needs a reader feature that neither way of reading honours.
    """
    protocol = table.protocol()
    features = set(protocol.reader_features or ())
    unknown = features - _PLAIN - _BY_SCAN
    if unknown:
        raise GovernanceError(
            f"table {place.name} uses Delta features that this reader does not honour",
            expected=f"no others than {', '.join(sorted(_PLAIN | _BY_SCAN))}",
            got=", ".join(sorted(unknown)),
            do="read it with the delta engine unity-connector, or rewrite the table without them",
        )
    return protocol.min_reader_version == 2 or bool(features & _BY_SCAN)


def _text_ddl(columns: Sequence[str]) -> str:
    return ", ".join(f"`{name}` string" for name in columns)


def _open(place: Place, version: int | None) -> DeltaTable:
    with _storage(f"read the log of table {place.name}"):
        try:
            return DeltaTable(place.location, version=version, storage_options=place.access.storage_options())
        except TableNotFoundError:
            pass
        except DeltaError as error:
            if version is None or "version" not in str(error).lower():
                raise
    asked = "a Delta table" if version is None else f"Delta version {version}"
    raise NotFound(
        f"table {place.name} cannot be read",
        expected=f"{asked} at {place.location}",
        got="none there",
        do="check RawTable and RawTableVersion; -1 reads the newest",
    )


def _opened(place: Place) -> DeltaTable | None:
    try:
        return DeltaTable(place.location, storage_options=place.access.storage_options())
    except TableNotFoundError:
        return None


@contextmanager
def _storage(doing: str) -> Iterator[None]:
    """delta-rs's and the store's faults as ours."""
    try:
        yield
    except (CommitFailedError, _CreatedMeanwhile):
        raise
    except (DeltaError, OSError) as error:
        text = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        denied = isinstance(error, PermissionError) or any(word in str(error) for word in ("403", "AccessDenied"))
        if denied:
            raise AccessDenied(
                f"the storage refused: {doing}", got=text, do="check the vended credential's location and right"
            ) from error
        raise GovernanceError(f"the storage failed: {doing}", got=text) from error
