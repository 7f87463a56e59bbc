"""From sketches to links: which example repeats which, and which are one family, on Spark.

    for found in links(sketches, sets, rounds, count=5_000):
        ...                                  # LINKED, one row for each linked example

What is shuffled of an example: 33 bucket rows of 24 bytes, its candidate pairs (16 bytes each, at
most 4 a key, about one in all), and for each pair the two sets of shingles, 4 bytes a shingle.
Of few examples all is decided without Spark (`at_once`).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.arrow_tasks import map_in_arrow
from steps.prepare.repeats import candidates, components, likeness
from steps.prepare.repeats.likeness import OF_FAMILY, OF_NEAR, SIDE, side
from steps.prepare.rounds.rounds import Rounds
from steps.prepare.rounds.shards import Shard

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# `near_row`: the example that is kept instead of this one. `family_rank`: of its family's earliest.
LINKED = pa.schema([(name, pa.int64()) for name in ("row", "near_row", "family_rank")])
SKETCH = ("rank", "bands")
SETS = tuple(name for name in SIDE if name != "row")
# A pair whose first side is known: the second one's row, and what the first one brings.
_BEGUN = pa.schema(
    [("b", pa.int64())]
    + [(side(name, "a"), pa.binary() if name == "shingles" else pa.int64()) for name in SIDE]
)


def links(
    sketches: "Iterable[DataFrame]",
    sets: "Callable[[Shard], DataFrame]",
    rounds: Rounds,
    *,
    count: int,
) -> "Iterator[DataFrame]":
    """Return the links of the usable examples, in a frame for each shard of rows.

    Args:
        sketches: `row` and `SKETCH` of the usable examples.
        sets: returns `row` and `SETS` of all examples of a shard of rows.
        rounds: in which rows are brought together.
        count: about how many usable examples there are.
    """
    tasks = candidates.tasks_for(-(-count // rounds.count))
    keys = (
        map_in_arrow(rows.select("row", *SKETCH), candidates.exploded, candidates.BUCKETS)
        for rows in sketches
    )
    pairs = (
        map_in_arrow(rows.repartition(tasks, "key"), candidates.paired, candidates.PAIRS)
        for rows in rounds.by("key", keys, candidates.BUCKETS, kind="buckets")
    )
    edges = _edges(pairs, sets, rounds)
    parts = (
        map_in_arrow(rows.repartition(tasks, "part"), components.linked, components.LINKS)
        for rows in rounds.by("part", edges, likeness.EDGES, kind="edges")
    )
    return map(_of_row, rounds.by_row("row", parts, components.LINKS, kind="components"))


def _edges(
    pairs: "Iterable[DataFrame]", sets: "Callable[[Shard], DataFrame]", rounds: Rounds
) -> "Iterator[DataFrame]":
    """Yield the edges of the pairs: each side's set comes from the shard of its row."""
    own = rounds.by_row("a", pairs, candidates.PAIRS, kind="pairs")
    begun = (
        _with_side(rows.distinct(), sets(shard), "a").select(*_BEGUN.names)
        for shard, rows in zip(rounds.shards, own, strict=True)
    )
    others = rounds.by_row("b", begun, _BEGUN, kind="begun")
    for shard, rows in zip(rounds.shards, others, strict=True):
        both = _with_side(rows, sets(shard), "b")
        ordered = both.select(*(side(name, end) for end in "ab" for name in SIDE))
        yield map_in_arrow(ordered, likeness.compared, likeness.EDGES)


def _with_side(pairs: "DataFrame", sets: "DataFrame", end: str) -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    one = sets.select(*(F.col(name).alias(side(name, end)) for name in SIDE))
    return pairs.join(one, F.col(end) == F.col(side("row", end))).drop(end)


def _of_row(linked: "DataFrame") -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    later = (F.col("kind") == OF_NEAR) & (F.col("first_row") != F.col("row"))
    of_family = F.col("kind") == OF_FAMILY
    return linked.groupBy("row").agg(
        F.max(F.when(later, F.col("first_row"))).alias("near_row"),
        F.max(F.when(of_family, F.col("first_rank"))).alias("family_rank"),
    )
