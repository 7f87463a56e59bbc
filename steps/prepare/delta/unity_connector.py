"""`DeltaStore` by Spark's own Delta, for EMR: tables by name through `UCSingleCatalog`.

The connector asks Unity Catalog for each table's credentials and renews them in every executor, so
a job may last for days. It is configured by `spark.sql.catalog.<catalog>.*` at submission, never
here.

The parity test runs this file whole on real Spark 4.0 and Delta 4.0 classes, with Spark's session
catalog in the place of UCSingleCatalog. [unverified]: on EMR, with the connector's jars, against a
hosted Unity Catalog.

An execution commits once: Delta drops a second transaction with the id of the first (`txnAppId`)
without an error. Therefore the history is read afterwards to find out which run committed. Sail
ignores that id silently, but it has no DESCRIBE HISTORY, so this store fails there at once.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from steps.governance.documents.document import FileEntry
from steps.governance.errors import IntegrityError
from steps.governance.names import execution_id
from steps.governance.storage.leases import Lending
from steps.prepare.delta import data_files, declarations, row_rules, vector_files
from steps.prepare.delta.declarations import Declared
from steps.prepare.delta.readable import (
    Version,
    below_table,
    require_every_file,
    require_files,
    require_own_files,
)
from steps.prepare.delta.staging.interface import Kernel
from steps.prepare.delta.staging.persisted import Persisted, persisted
from steps.prepare.delta.store import (
    Commit,
    Content,
    Place,
    Provenance,
    Rows,
    Rule,
    same_content,
    same_rows,
    user_metadata,
)
from steps.prepare.delta.tables import above_newest, log_deleted, storage
from steps.prepare.delta.target_columns import require_frame
from steps.prepare.schemas import PARTITION, TableSchema
from steps.prepare.session import engine_faults, translated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Delta's refusal of a version that its log no longer reaches: "Cannot time travel … to version 0.
# Available versions: [2, 4]."
_TIME_TRAVEL = re.compile(r"Available versions: \[(\d+), \d+\]")


class ConnectorStore:
    """Delta tables through Spark SQL.

    Every name in a statement is a checked `UcName`, every version an int.
    """

    def __init__(self, spark: "SparkSession") -> None:
        self._spark = spark

    @property
    def spark(self) -> "SparkSession":
        """See `DeltaStore`."""
        return self._spark

    def check_target(self, place: Place, schema: TableSchema) -> None:
        """See `DeltaStore`.

        Spark's Delta honours what it can write, and refuses itself what it cannot.
        """
        if place.table is not None:
            row_rules.require_evaluable(
                self._spark.createDataFrame([], schema.ddl), place, self._rules(place, schema)
            )

    def check_rows(self, frame: "DataFrame", place: Place, schema: TableSchema) -> tuple[Rule, ...]:
        """See `DeltaStore`. Delta checks the rows too, but only when it has written them."""
        require_frame(frame, place, schema)
        rules = () if place.table is None else self._rules(place, schema)
        row_rules.require_held(frame, place, rules)
        return rules

    def resolve_version(self, place: Place, version: int) -> int:
        """See `DeltaStore`."""
        with translated(f"read the log of table {place.name}"):
            newest = max(int(entry["version"]) for entry in self._history(place))
        if version > newest:
            raise above_newest(place, version, newest)
        newest_files = self._version(place, newest, newest=newest)
        wanted = newest_files if version < 0 else self._version(place, version, newest=newest)
        require_own_files(place, wanted.paths)
        require_files(
            place, wanted, newest_files, lambda number: self._version(place, number, newest=newest)
        )
        return wanted.number

    def earlier(self, place: Place, execution_arn: str) -> Mapping[str, Any] | None:
        """See `DeltaStore`."""
        if place.table is None:
            return None
        with translated(f"read the log of table {place.name}"):
            entry = self._earlier(place, execution_arn)
        return None if entry is None else user_metadata(entry)

    def columns(self, place: Place, version: int) -> dict[str, str]:
        """See `DeltaStore`."""
        with translated(f"read table {place.name} at version {version}"):
            return dict(self._at(place, version).dtypes)

    def rows(self, place: Place, version: int) -> int | None:
        """See `DeltaStore`."""
        with translated(f"count table {place.name} at version {version}"):
            return self._at(place, version).count()

    def read(self, place: Place, version: int, columns: Sequence[str]) -> "DataFrame":
        """See `DeltaStore`: the columns in their own types, which the kernel reads as text."""
        with translated(f"read table {place.name} at version {version}"):
            return self._at(place, version).select(*columns)

    def files(self, place: Place, version: int) -> list[str]:
        """See `DeltaStore`."""
        paths = below_table(place, self._version(place, version, newest=version).paths)
        with translated(f"look up table {place.name}"):
            detail = self._spark.sql(f"DESCRIBE DETAIL {place.name}").collect()[0]
        vectors = vector_files.FEATURE in detail["tableFeatures"]
        return paths + (vector_files.of(place, version) if vectors else [])

    def require_files(self, place: Place, version: int) -> None:
        """See `DeltaStore`."""
        wanted = self._version(place, version, newest=version)
        with storage(f"look for the data files of table {place.name}"):
            require_every_file(place, wanted)

    def staged(
        self, rows: Rows, kernel: Kernel, target: Place
    ) -> AbstractContextManager[Persisted]:
        """See `DeltaStore`: on the executors' disks; nothing is written to the target's folder."""
        doing = f"read and judge the filings of {rows.place.name}"
        raw = self.read(rows.place, rows.version, rows.columns)
        return persisted(self._spark, raw, kernel, doing=doing)

    def append(self, frame: "DataFrame", place: Place, content: Content) -> Commit:
        """See `DeltaStore`: Spark writes and commits in one go, and its metrics count the rows."""
        with translated(f"commit to table {place.name}"):
            self._create(place, content)
            entry = self._earlier(place, content.provenance.execution_arn)
            if entry is None:
                require_frame(frame, place, content.schema)
                row_rules.require_held(frame, place, self._rules(place, content.schema))
                self._write(frame, place, content)
                entry = self._earlier(place, content.provenance.execution_arn)
        if entry is None:
            raise IntegrityError(
                f"table {place.name} was written but holds no commit of this execution",
                expected=f"a commit with userMetadata of {content.provenance.execution_arn}",
                got="none",
                do="check that this Spark writes real Delta tables",
            )
        same_content(place, user_metadata(entry), content.provenance)
        version = int(entry["version"])
        written = (entry.get("operationMetrics") or {}).get("numOutputRows")
        same_rows(place, version, written, content)
        timestamp_ms = round(entry["timestamp"].timestamp() * 1000)
        return Commit(version, timestamp_ms, self._files(place, version, content.provenance))

    def _at(self, place: Place, version: int) -> "DataFrame":
        # S608: the name was checked (`UcName`), the version is an integer.
        query = f"SELECT * FROM {place.name} VERSION AS OF {int(version)}"  # noqa: S608
        return self._spark.sql(query)

    def _history(self, place: Place) -> list[dict[str, Any]]:
        return [row.asDict() for row in self._spark.sql(f"DESCRIBE HISTORY {place.name}").collect()]

    def _create(self, place: Place, content: Content) -> None:
        """Create the table if it does not exist."""
        if place.table is None:
            self._spark.sql(
                f"CREATE TABLE IF NOT EXISTS {place.name} ({content.schema.ddl}) USING delta "
                f"PARTITIONED BY ({PARTITION}) LOCATION '{place.location}'"
            )

    def _rules(self, place: Place, schema: TableSchema) -> tuple[Rule, ...]:
        """Return the owner's rules for rows, as far as Spark shows them.

        Generated columns are Delta's own to check.
        """
        with translated(f"look up table {place.name}"):
            fields = self._spark.table(str(place.name)).schema.jsonValue()["fields"]
            detail = self._spark.sql(f"DESCRIBE DETAIL {place.name}").collect()[0]
        declared = Declared(
            tuple(fields), tuple(detail["partitionColumns"]), dict(detail["properties"])
        )
        return declarations.checked_for_spark(place, schema, declared)

    def _version(self, place: Place, version: int, *, newest: int) -> Version:
        """Return a version's files.

        Raises:
            NotFound: the log no longer reaches that version.
        """
        try:
            return Version(version, frozenset(self._at(place, version).inputFiles()))
        except engine_faults() as error:
            if (oldest := _TIME_TRAVEL.search(str(error))) is not None:
                raise log_deleted(place, version, oldest=int(oldest[1]), newest=newest) from error
            with translated(f"read the log of table {place.name}"):
                raise

    def _write(self, frame: "DataFrame", place: Place, content: Content) -> None:
        names = content.schema.names
        ordered = frame.select(*names).sortWithinPartitions(*names)
        ordered.writeTo(str(place.name)).option(
            "userMetadata", content.provenance.user_metadata()
        ).option("txnAppId", content.provenance.execution_arn).option("txnVersion", "1").append()

    def _earlier(self, place: Place, execution_arn: str) -> dict[str, Any] | None:
        """Return the history's entry of this execution's commit."""
        return next(
            (entry for entry in self._history(place) if _made_by(entry) == execution_arn), None
        )

    def _files(self, place: Place, version: int, provenance: Provenance) -> tuple[FileEntry, ...]:
        """Return the commit's files with their sha256: Spark's writer does not report its files."""
        execution = execution_id(provenance.execution_arn)
        with translated(f"read back the data files of table {place.name}"):
            of_execution = self._at(place, version).where(f"{PARTITION} = '{execution}'")
            uris = [
                row[0] for row in of_execution.select("_metadata.file_path").distinct().collect()
            ]
            paths = sorted(uri[uri.index(f"{PARTITION}={execution}/") :] for uri in uris)
        doing = f"read back the data files of table {place.name}"
        found = data_files.read_back(
            self._spark, place.location, Lending(place.access), paths, doing=doing
        )
        return tuple(found[path] for path in paths)


def _made_by(entry: dict[str, Any]) -> Any:
    return user_metadata(entry).get("execution_arn")
