"""The rows that a kernel made once, on the disks of Spark's executors: for Spark's own Delta.

    with persisted(spark, raw, kernel) as staged:
        staged.read("example", ["example_id"])

Keys of our own would have to outlive the reading of all rows, which the connector does not need:
Spark keeps the rows itself. An executor that is lost takes its rows with it, and Spark makes these
again; the result is the same, since the kernel is pure. Sail does not keep such rows, and this
store does not run there.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.prepare.arrow_tasks import MOST_ROWS, map_in_arrow, mapped
from steps.prepare.delta.staging.interface import Kernel
from steps.prepare.schemas import files_for
from steps.prepare.session import translated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Rows of a batch from the JVM to Python: whole filings, of which 10,000 (Spark's default) may be
# more than an Arrow column can hold.
_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"


@dataclass(frozen=True)
class Persisted:
    """`Staged` over a frame that Spark keeps."""

    frame: "DataFrame"

    def read(self, kind: str, columns: Sequence[str]) -> "DataFrame":
        """See `Staged`."""
        return self._of(kind).select(*columns, "row")

    def taken(
        self, kind: str, wanted: "DataFrame", columns: Sequence[str], *, rows: int
    ) -> "DataFrame":
        """See `Staged`: a join, whose large side Spark sorts on disk if it must."""
        joined = self._of(kind).select(*columns, "row").join(wanted.select("row", "split"), "row")
        return joined.repartition(files_for(rows), "row").select(*columns, "split")

    def _of(self, kind: str) -> "DataFrame":
        from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

        return self.frame.where(F.col("kind") == kind)


@contextmanager
def persisted(
    spark: "SparkSession", raw: "DataFrame", kernel: Kernel, *, doing: str
) -> Iterator[Persisted]:
    """Run the kernel over all rows once, and keep what it made until the block ends."""
    from pyspark import StorageLevel
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    spark.conf.set(_BATCH, str(MOST_ROWS))
    lower = raw.select(*(F.col(name).alias(name.lower()) for name in raw.columns))
    rows = map_in_arrow(lower, mapped(kernel.run), kernel.schema)
    kept = rows.withColumn("row", F.monotonically_increasing_id()).persist(StorageLevel.DISK_ONLY)
    try:
        with translated(doing):
            kept.count()  # else two branches of one plan could make the rows at once
        yield Persisted(kept)
    finally:
        kept.unpersist()
