"""Two years of one company: which kept examples are compared with that of the year before.

    for frame in made(rows, staged, rounds): …        # COMPARED, out of kept examples
    replaced(rows, examples)                          # the same rows with the new ids and digests

A pair is two kept examples of one company, one family and one split, of consecutive years, the
later of which drew `COMPARE`. The later one's example is replaced, so each risk factor still gives
one example, and what a split holds out stays in it. Texts are read for the pairs only.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.arrow_tasks import map_in_arrow
from steps.prepare.delta.staging.interface import Staged
from steps.prepare.filings import comparison
from steps.prepare.filings.comparison import COMPARED
from steps.prepare.filings.decision import usable
from steps.prepare.filings.judge import EXAMPLE
from steps.prepare.rounds.rounds import Rounds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_MEMBERS = pa.schema(
    [("row", pa.int64()), ("rank", pa.int64()), ("year", pa.int32()), ("compares", pa.int32())]
    + [(name, pa.string()) for name in ("cik", "split", "family_id")]
)
_PAIRS = pa.schema(
    [(name, pa.int64()) for name in ("row", "before")]
    + [(name, pa.string()) for name in ("split", "family_id")]
)
_FIRST = pa.schema(
    [field for field in _PAIRS if field.name != "before"]
    + [("before_prompt", pa.string()), ("before_at", pa.int32()), ("before_year", pa.int32())]
)
_TEXTS = (*comparison.MADE, "text_at")


def made(rows: "Iterable[DataFrame]", staged: Staged, rounds: Rounds) -> "Iterator[DataFrame]":
    """Yield `COMPARED`, in the shards of the later examples' rows."""
    members = (frame.where(usable()).select(*_MEMBERS.names) for frame in rows)
    families = rounds.by("family_id", members, _MEMBERS, kind="members")
    pairs = rounds.by_row("before", map(_pairs, families), _PAIRS, kind="years")
    first = (
        _first(frame, staged.read(EXAMPLE, ["prompt", "text_at", "year"], shard))
        for shard, frame in zip(rounds.shards, pairs, strict=True)
    )
    for shard, frame in zip(
        rounds.shards, rounds.by_row("row", first, _FIRST, kind="first"), strict=True
    ):
        both = frame.join(staged.read(EXAMPLE, _TEXTS, shard), "row").select(*comparison.GIVEN)
        yield map_in_arrow(both, comparison.compared, COMPARED)


def _pairs(members: "DataFrame") -> "DataFrame":
    """Return the later example of each pair, with the row of the one before."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    in_order = Window.partitionBy("family_id", "cik", "split").orderBy("year", "rank")
    before = {"before": F.lag("row").over(in_order), "_year": F.lag("year").over(in_order)}
    consecutive = (F.col("compares") == 1) & (F.col("_year") + 1 == F.col("year"))
    return members.withColumns(before).where(consecutive).select(*_PAIRS.names)


def _first(pairs: "DataFrame", texts: "DataFrame") -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    first = texts.select(
        F.col("row").alias("before"),
        F.col("prompt").alias("before_prompt"),
        F.col("text_at").alias("before_at"),
        F.col("year").alias("before_year"),
    )
    return pairs.join(first, "before").select(*_FIRST.names)


def replaced(rows: "DataFrame", examples: "DataFrame") -> "DataFrame":
    """Return final rows with the ids and digests of compared examples; `compares` marks these."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    new = examples.select(
        F.col("row").alias("_key"),
        F.col("example_id").alias("_id"),
        F.col("fingerprint").alias("_print"),
    )
    own = F.when(usable(), F.col("row")).otherwise(-1 - F.col("row"))
    found = new.join(rows.withColumn("_key", own), "_key", "right")
    is_new = F.col("_id").isNotNull()
    return found.withColumns(
        {
            "example_id": F.coalesce("_id", "example_id"),
            "fingerprint": F.coalesce("_print", "fingerprint"),
            "compares": F.when(is_new, F.lit(1)).otherwise(F.lit(0)),
        }
    ).select(*rows.columns)
