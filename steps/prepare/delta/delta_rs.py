"""`DeltaStore` by delta-rs: Spark tasks handle Parquet, the driver alone handles the Delta log.

Works on every Spark (Sail, Connect, classic) without a Delta jar, and is the only adapter with
per-table vended credentials. Those last about an hour and cannot be renewed inside a running task,
so tasks stop before that and the driver continues with new ones (`staging.leased`).
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable

from steps.governance.documents.document import FileEntry
from steps.governance.errors import IntegrityError
from steps.governance.names import execution_id
from steps.governance.storage.leases import Lending
from steps.governance.unity_catalog.credentials import Access
from steps.prepare.arrow_tasks import map_in_arrow
from steps.prepare.delta import (
    data_files,
    declarations,
    raw_rows,
    row_rules,
    tiny_files,
    vector_files,
)
from steps.prepare.delta.commits import commit, commit_of, earlier
from steps.prepare.delta.readable import (
    Version,
    below_table,
    by_scan,
    require_every_file,
    require_files,
    require_own_files,
)
from steps.prepare.delta.staging import kept, leased
from steps.prepare.delta.staging.first_pass import Source
from steps.prepare.delta.staging.interface import Kernel
from steps.prepare.delta.store import Commit, Content, Place, Rows, Rule, user_metadata
from steps.prepare.delta.tables import existing, opened, paths, storage
from steps.prepare.delta.target_columns import require_frame
from steps.prepare.schemas import TableSchema
from steps.prepare.session import at_most, translated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Of a read. The executors' cores are not known here; larger tables have more tasks.
_FEWEST_TASKS = os.cpu_count() or 1
# Spark SQL's names of Delta's types, where the two differ.
_SPARK_TYPES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}


class DeltaRsStore:
    """Delta tables through delta-rs, text work through any Spark session."""

    def __init__(self, spark: "SparkSession | Future[SparkSession]") -> None:
        """`spark` may be starting: what the driver does alone need not wait for it."""
        self._spark = spark
        self._lent: dict[Access, Lending] = {}
        self._opened: dict[tuple[str, int], DeltaTable] = {}

    @property
    def spark(self) -> "SparkSession":
        """See `DeltaStore`."""
        return self._spark.result() if isinstance(self._spark, Future) else self._spark

    def check_target(self, place: Place, schema: TableSchema) -> None:
        """See `DeltaStore`."""
        if rules := declarations.declared(place, schema, existing(place)):
            empty = self.spark.createDataFrame([], schema.ddl)
            row_rules.require_evaluable(empty, place, rules)

    def check_rows(self, frame: "DataFrame", place: Place, schema: TableSchema) -> tuple[Rule, ...]:
        """See `DeltaStore`."""
        return _checked(frame, place, schema, existing(place))

    def resolve_version(self, place: Place, version: int) -> int:
        """See `DeltaStore`."""
        newest = opened(place, None)
        table = newest if version < 0 else opened(place, version)
        by_scan(place, table)
        wanted = _version(table)
        require_own_files(place, wanted.paths)
        require_files(
            place, wanted, _version(newest), lambda number: _version(opened(place, number))
        )
        self._opened[place.location, wanted.number] = table
        return wanted.number

    def earlier(self, place: Place, execution_arn: str) -> Mapping[str, Any] | None:
        """See `DeltaStore`."""
        found = earlier(place, existing(place), execution_arn)
        return None if found is None else user_metadata(found[1])

    def columns(self, place: Place, version: int) -> dict[str, str]:
        """See `DeltaStore`."""
        return {
            field.name: _SPARK_TYPES.get(field.type.type, field.type.type)
            for field in self._at(place, version).schema().fields
        }

    def rows(self, place: Place, version: int) -> int | None:
        """See `DeltaStore`."""
        table = self._at(place, version)
        if by_scan(place, table):
            return None  # deleted rows are still counted in the files' statistics
        counted = pa.table(table.get_add_actions(flatten=True))["num_records"].to_pylist()
        return None if None in counted else sum(counted)

    def read(self, place: Place, version: int, columns: Sequence[str]) -> "DataFrame":
        """See `DeltaStore`."""
        count, task, _ = self._reading(Rows(place, version, columns))
        return self._map(count, task, pa.schema([(name, pa.string()) for name in columns]))

    def staged(
        self, rows: Rows, kernel: Kernel, target: Place
    ) -> AbstractContextManager[kept.StagedFiles]:
        """See `DeltaStore`: in files of the target's folder."""
        doing = f"read and judge the filings of {rows.place.name}"
        count, task, again = self._reading(rows)
        source = Source(count, task, doing, self._keys(rows.place) if again else None)
        return kept.files(self.spark, source, kernel, target, self._keys(target))

    def _at(self, place: Place, version: int) -> DeltaTable:
        """Return the table at a version, which never changes, so it is opened once."""
        key = place.location, version
        if key not in self._opened:
            self._opened[key] = opened(place, version)
        return self._opened[key]

    def _keys(self, place: Place) -> Lending:
        """Return the place's keys for tasks: the same for all of its frames, so all are renewed."""
        keys = self._lent.setdefault(place.access, Lending(place.access))
        keys.renew()
        return keys

    def _reading(self, rows: Rows) -> tuple[int, data_files.Task, bool]:
        """Return how many numbers there are, a task that reads the rows of one, and whether it
        reads them in the same order each time.

        Files are grouped by bytes; one task scans the table if the files alone are not the rows.
        """
        place, version, columns = rows.place, rows.version, rows.columns
        table, options = self._at(place, version), self._keys(place)
        if by_scan(place, table) or set(columns) & set(table.metadata().partition_columns):
            return 1, raw_rows.scanning(place.location, options, version, columns), False
        added = pa.table(table.get_add_actions(flatten=True))
        files = list(zip(added["path"].to_pylist(), added["size_bytes"].to_pylist(), strict=True))
        pieces, sizes = raw_rows.pieces(files), [size for _, size in files]
        groups = raw_rows.grouped([piece.size for piece in pieces], tasks=_FEWEST_TASKS)
        if tiny_files.are_tiny(sizes):
            with storage(f"read the data files of table {place.name}"):
                streams = tiny_files.gather(place.location, options, files, groups, columns)
            if streams is not None:
                return len(groups), tiny_files.given(streams), True
        reading = raw_rows.reading(place.location, options, pieces, groups, columns)
        return len(groups), reading, True

    def files(self, place: Place, version: int) -> list[str]:
        """See `DeltaStore`."""
        table = self._at(place, version)
        vectors = vector_files.FEATURE in (table.protocol().reader_features or ())
        return below_table(place, paths(table)) + (
            vector_files.of(place, version) if vectors else []
        )

    def require_files(self, place: Place, version: int) -> None:
        """See `DeltaStore`."""
        wanted = _version(opened(place, version))
        with storage(f"look for the data files of table {place.name}"):
            require_every_file(place, wanted)

    def append(self, frame: "DataFrame", place: Place, content: Content) -> Commit:
        """See `DeltaStore`: check the rows, stage files, count, commit.

        Then read the files back.
        """
        table = existing(place)
        found = commit_of(place, table, content.provenance)
        if found is None:
            rules = _checked(frame, place, content.schema, table)
            files = self._stage(frame, place, content)
            found = commit(place, replace(content, rules=rules), files)
        self._verify(place, found.files)
        return found

    def _map(self, count: int, task: data_files.Task, schema: pa.Schema) -> "DataFrame":
        """Return the rows that `task` makes of the numbers 0 to count-1."""
        numbers = self.spark.range(0, count, 1, at_most(max(count, 1)))
        return map_in_arrow(numbers, task, schema)

    def _stage(self, frame: "DataFrame", place: Place, content: Content) -> tuple[FileEntry, ...]:
        """Write the data files, which no reader sees before the commit."""
        execution, rows, schema = (
            execution_id(content.provenance.execution_arn),
            content.rows,
            content.schema,
        )
        task = data_files.writing(place.location, self._keys(place), execution, schema)
        doing = f"write the data files of table {place.name}"
        with translated(doing):
            made = map_in_arrow(frame.select(*schema.names), task, data_files.WRITTEN)
            written = leased.again(made.collect, [*self._lent.values()], doing=doing)
        files = tuple(
            FileEntry(**row.asDict()) for row in sorted(written, key=lambda row: str(row["path"]))
        )
        if (got := sum(file.rows or 0 for file in files)) != rows:
            raise IntegrityError(
                f"table {place.name} was not committed: rows were lost or doubled while it "
                "was written",
                expected=f"{rows} rows",
                got=f"{got} rows",
                do="run again; if it happens again the engine is not deterministic",
            )
        return files

    def _verify(self, place: Place, files: Sequence[FileEntry]) -> None:
        """Read the committed files back; they must equal what the writer reported."""
        paths = [file.path for file in files]
        doing = f"read back the data files of table {place.name}"
        keys = self._keys(place)
        found = data_files.read_back(self.spark, place.location, keys, paths, doing=doing)
        for file in files:
            if (got := found[file.path]) != file:
                raise IntegrityError(
                    f"a data file of table {place.name} is not what was written: {file.path}",
                    expected=f"{file.size} bytes, sha256 {file.sha256}",
                    got=f"{got.size} bytes, sha256 {got.sha256}",
                    do="find out who else can write there; then start a new execution",
                )


def _checked(
    frame: "DataFrame", place: Place, schema: TableSchema, table: DeltaTable | None
) -> tuple[Rule, ...]:
    """Check the rows against the rules of the table; return these."""
    require_frame(frame, place, schema)
    rules = declarations.declared(place, schema, table)
    row_rules.require_held(frame, place, rules)
    return rules


def _version(table: DeltaTable) -> Version:
    return Version(int(table.version()), frozenset(paths(table)))
