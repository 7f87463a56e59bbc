"""The overlap of eval with train: the share of eval's 13-word n-grams that train has too.

    share(kept.join(grams, "row"))      # split, grams -> 0.0 … 1.0

One of 16 n-grams counts, chosen by its hash, the same in both splits; so the share is an estimate
from about 20 n-grams an example, of which 8 bytes each are shuffled.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from steps.prepare.arrow_tasks import map_in_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TRAIN, EVAL = "train", "eval"
_SIDES = pa.schema([("gram", pa.int64()), (TRAIN, pa.int32()), (EVAL, pa.int32())])


def share(rows: "DataFrame") -> float:
    """Return the share, to six digits; 0 if eval has no n-gram. One Spark action."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    sides = map_in_arrow(rows.select("split", "grams"), _sides, _SIDES)
    once = sides.groupBy("gram").agg(*(F.max(name).alias(name) for name in (TRAIN, EVAL)))
    found = once.where(F.col(EVAL) == 1).agg(
        F.count(F.lit(1)).alias("all"), F.sum(TRAIN).alias("shared")
    )
    row = found.collect()[0]
    return round(int(row["shared"] or 0) / max(int(row["all"]), 1), 6)


def _sides(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        splits = np.array(batch["split"].to_pylist(), object)
        grams = np.array(batch["grams"].to_pylist(), object)
        for side in (TRAIN, EVAL):
            texts = [text for text in grams[splits == side] if text]
            found = np.unique(np.frombuffer(b"".join(texts), np.int64))
            flags = [np.full(len(found), side == name, np.int32) for name in (TRAIN, EVAL)]
            yield pa.record_batch([found, *flags], schema=_SIDES)
