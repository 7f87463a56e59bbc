"""`DeltaStore` by delta-rs: Spark's tasks read and write Parquet, the driver alone reads and commits the Delta log.

Works on every Spark (Sail, Connect, classic) without a Delta jar, and is the only adapter with per-table vended
credentials. Those last about an hour and cannot be renewed inside a running task: for longer jobs use the connector.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.schema import PrimitiveType

from steps.governance.errors import GovernanceError, IntegrityError
from steps.governance.manifest import FileEntry
from steps.governance.names import execution_id
from steps.prepare import data_files, raw_rows
from steps.prepare.delta_io import Commit, Content, Place, user_metadata
from steps.prepare.delta_log import commit, commit_of, earlier, existing, opened
from steps.prepare.session import translated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_ROWS_PER_FILE = 20_000  # some 40 MB of examples: one task's memory
# Reader features whose files are plain Parquet to us; any other is refused [delta-io/delta PROTOCOL.md, "Table Features"].
_PLAIN = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
_BY_SCAN = {"deletionVectors", "columnMapping"}


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

    def columns(self, place: Place, version: int) -> list[str]:
        """See `DeltaStore`."""
        fields = opened(place, version).schema().fields
        return [field.name for field in fields if field.type == PrimitiveType("string")]

    def rows(self, place: Place, version: int) -> int | None:
        """See `DeltaStore`."""
        table = opened(place, version)
        if _needs_scan(place, table):
            return None  # deleted rows are still counted in the files' statistics
        counted = pa.table(table.get_add_actions(flatten=True))["num_records"].to_pylist()
        return None if None in counted else sum(counted)

    def read(self, place: Place, version: int, columns: Sequence[str]) -> "DataFrame":
        """See `DeltaStore`: one partition per data file, or one for all where files alone would not tell the truth."""
        table = opened(place, version)
        options = place.access.storage_options()
        if _needs_scan(place, table) or set(columns) & set(table.metadata().partition_columns):
            return self._map(1, raw_rows.scanning(place.location, options, version, columns), _text_ddl(columns))
        paths = pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()
        return self._map(len(paths), raw_rows.reading(place.location, options, paths, columns), _text_ddl(columns))

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
