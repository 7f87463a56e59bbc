"""From the links of examples to their final verdict: near duplicates, families, split.

    for links, rows in …: linked(rows, links, names)     # LINKED, of the examples without a reason
    for equals in …: taught(equals)                      # which answers of eval train has
    for rows, found, answers in …: final(rows, found, answers)

Each function decides about one shard (`steps.prepare.rounds.rounds`). What joins a row with other
rows is narrow, and the left side of a join: the one that Sail holds in memory.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.filings import decision
from steps.prepare.filings.decision import (
    ANSWER_IN_TRAIN,
    FAMILY_IN_TRAIN,
    NEAR_DUPLICATE,
    reasoned,
    usable,
)
from steps.prepare.filings.judge import EXAMPLE
from steps.prepare.filings.split import EVAL, TRAIN, Split

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NEAR = pa.schema([("row", pa.int64()), ("near_row", pa.int64())])
NAMED = pa.schema([("row", pa.int64()), ("near_id", pa.string())])
LINKED = pa.schema(
    [
        ("row", pa.int64()),
        ("cik", pa.string()),
        ("year", pa.int32()),
        ("heading_key", pa.int64()),
        *((name, pa.string()) for name in ("example_id", "family_id", "near_id")),
    ]
)
# `equals`: what an example of eval may not share with train, a family or a heading.
ASKED = pa.schema(
    [("row", pa.int64())]
    + [(name, pa.string()) for name in ("equals", "reason", "split", "example_id")]
)
TAUGHT = pa.schema([("row", pa.int64()), ("reason", pa.string()), ("first", pa.string())])


def near(links: "DataFrame") -> "DataFrame":
    """Return `NEAR` of the links: the row that is kept instead of this one."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return links.where(F.col("near_row").isNotNull()).select(*NEAR.names)


def named(rows: "DataFrame", names: "DataFrame") -> "DataFrame":
    """Return `NAMED`: the id of each row's near one, out of `kind`, `row` and `example_id`."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    ids = names.where(F.col("kind") == EXAMPLE).select(
        F.col("row").alias("near_row"), F.col("example_id").alias("near_id")
    )
    return rows.join(ids, "near_row").select(*NAMED.names)


def linked(rows: "DataFrame", links: "DataFrame", names: "DataFrame") -> "DataFrame":
    """Return `LINKED` of the decided rows that are examples without a reason against them."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    examples = rows.where(usable()).select(
        "row", "rank", *(name for name in LINKED.names if name in decision.DECIDED[:-1])
    )
    found = links.select("row", "family_rank").join(examples, "row", "right")
    found = names.join(found, "row", "right")
    family = F.lpad(F.lower(F.hex(F.coalesce("family_rank", "rank"))), 16, "0")
    return found.withColumn("family_id", family).select(*LINKED.names)


def asked(rows: "DataFrame", split: Split) -> "DataFrame":
    """Return `ASKED` of the linked rows without near duplicates."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    there = rows.where(F.col("near_id").isNull()).withColumn("split", split.column())
    found = _asked(there, "heading_key", ANSWER_IN_TRAIN)
    if split.cuts_families:
        found = found.unionByName(_asked(there, "family_id", FAMILY_IN_TRAIN))
    return found


def _asked(rows: "DataFrame", key: str, reason: str) -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    equals = F.concat(F.lit(f"{reason} "), F.col(key).cast("string"))
    return rows.withColumns({"equals": equals, "reason": F.lit(reason)}).select(*ASKED.names)


def taught(rows: "DataFrame") -> "DataFrame":
    """Return `TAUGHT`: the rows of eval whose family or heading train has, and its first example.

    `rows` has all rows with equal `equals`.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    there = rows.where(F.col("split") == TRAIN)
    first = there.groupBy("equals").agg(F.min("example_id").alias("first"))
    of_eval = rows.where(F.col("split") == EVAL).select("row", "equals", "reason")
    return first.join(of_eval, "equals").select(*TAUGHT.names)


def final(rows: "DataFrame", found: "DataFrame", answers: "DataFrame", split: Split) -> "DataFrame":
    """Return decided rows with `family_id` and `split`, and the reasons that were found since."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    firsts = answers.groupBy("row").agg(
        *(F.max(F.when(F.col("reason") == reason, F.col("first"))).alias(reason)
          for reason in (FAMILY_IN_TRAIN, ANSWER_IN_TRAIN))
    )  # fmt: skip
    given = firsts.join(found.withColumn("split", split.column()), "row", "right").select(
        F.col("row").alias("_key"), "family_id", "split", "near_id", *firsts.columns[1:]
    )
    own = F.when(usable(), F.col("row")).otherwise(-1 - F.col("row"))  # nulls would share a task
    rows = given.join(rows.withColumn("_key", own), "_key", "right")
    for reason, words, first in (
        (NEAR_DUPLICATE, "similar to", "near_id"),
        (FAMILY_IN_TRAIN, "same family as", FAMILY_IN_TRAIN),
        (ANSWER_IN_TRAIN, "same heading as", ANSWER_IN_TRAIN),
    ):
        rows = reasoned(rows, _still(first), reason, words, F.col(first))
    return rows.withColumn("split", F.when(usable(), F.col("split"))).select(
        *decision.DECIDED, "family_id", "split"
    )


def _still(first: str) -> "Column":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return usable() & F.col(first).isNotNull()


def unlinked(rows: "DataFrame", split: Split) -> "DataFrame":
    """Return decided rows as `final` does where no example is like another."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    none = F.lit(None).cast("string")
    own = rows.where(usable()).withColumns({"family_id": F.col("example_id"), "near_id": none})
    found = own.select(*LINKED.names)
    return final(rows, found, taught(asked(found, split)), split)
