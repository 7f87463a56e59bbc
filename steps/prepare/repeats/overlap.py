"""The overlap of eval with train: the share of eval's 13-word n-grams that train has too.

    share([kept.join(grams, "row")], rounds)      # split, grams -> 0.0 … 1.0

One of 16 n-grams counts, chosen by its hash, the same in both splits; so the share is an estimate
from about 20 n-grams an example, of which 8 bytes each are shuffled.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from steps.prepare.arrow_tasks import map_in_arrow
from steps.prepare.rounds.rounds import Rounds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TRAIN, EVAL = "train", "eval"
_SIDES = pa.schema([("gram", pa.int64()), (TRAIN, pa.int32()), (EVAL, pa.int32())])


def share(frames: "Iterable[DataFrame]", rounds: Rounds) -> float:
    """Return the share, to six digits; 0 if eval has no n-gram."""
    sides = (map_in_arrow(rows.select("split", "grams"), _sides, _SIDES) for rows in frames)
    found = [_counted(rows) for rows in rounds.by("gram", sides, _SIDES, kind="grams")]
    return _share(*map(sum, zip(*found, strict=True)))


def of_texts(asked: Iterable[bytes], taught: Iterable[bytes]) -> float:
    """Return the share for the n-grams of texts of eval and of train, held in memory."""
    one, other = (np.unique(np.frombuffer(b"".join(grams), np.int64)) for grams in (asked, taught))
    return _share(len(one), len(np.intersect1d(one, other, assume_unique=True)))


def _share(of_eval: int, shared: int) -> float:
    return round(shared / max(of_eval, 1), 6)


def _counted(sides: "DataFrame") -> tuple[int, int]:
    """Return how many n-grams eval has, and how many of them train has too."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    once = sides.groupBy("gram").agg(*(F.max(name).alias(name) for name in (TRAIN, EVAL)))
    found = once.where(F.col(EVAL) == 1).agg(
        F.count(F.lit(1)).alias("all"), F.sum(TRAIN).alias("shared")
    )
    row = found.collect()[0]
    return int(row["all"]), int(row["shared"] or 0)


def _sides(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        splits = np.array(batch["split"].to_pylist(), object)
        grams = np.array(batch["grams"].to_pylist(), object)
        for side in (TRAIN, EVAL):
            texts = [text for text in grams[splits == side] if text]
            found = np.unique(np.frombuffer(b"".join(texts), np.int64))
            flags = [np.full(len(found), side == name, np.int32) for name in (TRAIN, EVAL)]
            yield pa.record_batch([found, *flags], schema=_SIDES)
