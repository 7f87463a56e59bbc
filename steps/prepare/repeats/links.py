"""From sketches to links: which example repeats which, and which are one family, on Spark.

    found = links(sketches, sets, count=5_000)      # LINKED, one row for each linked example

What is shuffled of an example: 33 bucket rows of 24 bytes, its candidate pairs (16 bytes each, at
most 4 a key, about one in all), and for each pair the two sets of shingles, 4 bytes a shingle.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.arrow_tasks import map_in_arrow
from steps.prepare.repeats import candidates, components, likeness
from steps.prepare.repeats.likeness import OF_FAMILY, OF_NEAR, SIDE, side

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SKETCH = ("rank", "bands")
SETS = tuple(name for name in SIDE if name != "row")
# `near_row`: the example that is kept instead of this one. `family_rank`: of its family's earliest.
LINKED = pa.schema([(name, pa.int64()) for name in ("row", "near_row", "family_rank")])


def links(sketches: "DataFrame", sets: "DataFrame", *, count: int) -> "DataFrame":
    """Return the links of the usable examples; nothing is read before an action.

    Args:
        sketches: `row` and `SKETCH` of the usable examples.
        sets: `row` and `SETS` of all examples.
        count: about how many usable examples there are.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    tasks = candidates.tasks_for(count)
    buckets = map_in_arrow(sketches.select("row", *SKETCH), candidates.exploded, candidates.BUCKETS)
    pairs = map_in_arrow(
        buckets.repartition(tasks, "key"), candidates.paired, candidates.PAIRS
    ).distinct()
    for end in "ab":
        one = sets.select(*(F.col(name).alias(side(name, end)) for name in SIDE))
        pairs = pairs.join(one, F.col(end) == F.col(side("row", end))).drop(end)
    ordered = pairs.select(*(side(name, end) for end in "ab" for name in SIDE))
    edges = map_in_arrow(ordered, likeness.compared, likeness.EDGES)
    linked = map_in_arrow(edges.repartition(tasks, "part"), components.linked, components.LINKS)
    later = (F.col("kind") == OF_NEAR) & (F.col("first_row") != F.col("row"))
    of_family = F.col("kind") == OF_FAMILY
    return linked.groupBy("row").agg(
        F.max(F.when(later, F.col("first_row"))).alias("near_row"),
        F.max(F.when(of_family, F.col("first_rank"))).alias("family_rank"),
    )
