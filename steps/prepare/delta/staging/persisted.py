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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.arrow_tasks import MOST_ROWS, map_in_arrow, mapped
from steps.prepare.delta.staging.interface import CARRIED, Kernel
from steps.prepare.rounds.shards import WHOLE, Shard, Sharding
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
    kept: "dict[str, DataFrame]" = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def shards(self, kind: str) -> int:
        """See `Staged`: Spark spills."""
        return 1

    def count(self, kind: str) -> int:
        """See `Staged`."""
        if kind not in self.counts:
            self.counts[kind] = (self.kept[kind] if kind in self.kept else self._of(kind)).count()
        return self.counts[kind]

    def read(self, kind: str, columns: Sequence[str], shard: Shard = WHOLE) -> "DataFrame":
        """See `Staged`; there is one shard."""
        del shard
        others = [name for name in columns if name != "row"]
        return (self.kept[kind] if kind in self.kept else self._of(kind)).select(*others, "row")

    def keep(
        self, kind: str, rows: "DataFrame", schema: pa.Schema, sharding: Sharding | None = None
    ) -> int:
        """See `Staged`."""
        from pyspark import StorageLevel

        self.kept[kind] = rows.select(*schema.names).persist(StorageLevel.DISK_ONLY)
        return self.kept[kind].count()

    def taken(
        self, kind: str, wanted: "DataFrame", columns: Sequence[str], *, rows: int
    ) -> "DataFrame":
        """See `Staged`: a join, whose large side Spark sorts on disk if it must."""
        given = wanted.select("row", *CARRIED)
        joined = self._of(kind).select(*columns, "row").join(given, "row")
        return joined.repartition(files_for(rows), "row").select(*columns, *CARRIED)

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
    made: Persisted | None = None
    try:
        with translated(doing):
            kept.count()  # else two branches of one plan could make the rows at once
        made = Persisted(kept)
        yield made
    finally:
        for frame in (*made.kept.values(), kept) if made is not None else (kept,):
            frame.unpersist()
