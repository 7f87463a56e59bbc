"""`DeltaStore` by delta-rs: Spark's tasks read and write Parquet, the driver alone reads and commits the Delta log.

Works on every Spark (Sail, Connect, classic) without a Delta jar, and is the only adapter with per-table vended
credentials. Those last about an hour and cannot be renewed inside a running task: for longer jobs use the connector.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable

from steps.governance.errors import GovernanceError, IntegrityError
from steps.governance.manifest import FileEntry
from steps.governance.names import execution_id
from steps.prepare import data_files, raw_rows
from steps.prepare.delta_io import Commit, Content, Place, user_metadata
from steps.prepare.delta_log import commit, commit_of, earlier, existing, opened
from steps.prepare.session import translated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FEWEST_TASKS = (
    os.cpu_count() or 1
)  # of a read; the executors' cores are not known here, and larger tables have more tasks
_ROWS_PER_FILE = 20_000  # some 40 MB of examples: one task's memory
# Reader features whose files are plain Parquet to us; any other is refused [delta-io/delta PROTOCOL.md, "Table Features"].
_PLAIN = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
_BY_SCAN = {"deletionVectors", "columnMapping"}
# Spark SQL's names of Delta's types, where the two differ.
_SPARK_TYPES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}


class DeltaRsStore:
    """Delta tables through delta-rs, text work through any Spark session."""

    def __init__(self, spark: "SparkSession") -> None:
        self._spark = spark

    def resolve_version(self, place: Place, version: int) -> int:
        """See `DeltaStore`."""
        return int(opened(place, None if version < 0 else version).version())

    def earlier(self, place: Place, execution_arn: str) -> Mapping[str, Any] | None:
        """See `DeltaStore`."""
        found = earlier(place, existing(place), execution_arn)
        return None if found is None else user_metadata(found[1])

    def columns(self, place: Place, version: int) -> dict[str, str]:
        """See `DeltaStore`."""
        return {
            field.name: _SPARK_TYPES.get(field.type.type, field.type.type)
            for field in opened(place, version).schema().fields
        }

    def rows(self, place: Place, version: int) -> int | None:
        """See `DeltaStore`."""
        table = opened(place, version)
        if _needs_scan(place, table):
            return None  # deleted rows are still counted in the files' statistics
        counted = pa.table(table.get_add_actions(flatten=True))["num_records"].to_pylist()
        return None if None in counted else sum(counted)

    def read(self, place: Place, version: int, columns: Sequence[str]) -> "DataFrame":
        """See `DeltaStore`: files grouped into tasks by bytes, or one task for all where the files alone are not the rows."""
        table = opened(place, version)
        options = place.access.storage_options()
        if _needs_scan(place, table) or set(columns) & set(table.metadata().partition_columns):
            return self._map(1, raw_rows.scanning(place.location, options, version, columns), _text_ddl(columns))
        added = pa.table(table.get_add_actions(flatten=True))
        files = list(zip(added["path"].to_pylist(), added["size_bytes"].to_pylist(), strict=True))
        groups = raw_rows.grouped([size for _, size in files], tasks=_FEWEST_TASKS)
        task = raw_rows.reading(place.location, options, files, groups, columns)
        return self._map(len(groups), task, _text_ddl(columns))

    def append(self, frame: "DataFrame", place: Place, content: Content) -> Commit:
        """See `DeltaStore`: stage files, count, commit; then read the files back."""
        found = commit_of(place, existing(place), content.provenance)
        if found is None:
            files = self._stage(frame, place, content)
            found = commit(place, content, files)
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
