"""Reject duplicates across all rows, by their keys: dates, names and digests, never the text.

    rows = decided(staged.read)            # exact duplicates
    rows = linked(rows, links)             # near duplicates and families (steps.prepare.repeats)
    rows = final(rows, split)              # the split, and what train has already
    kept(rows), rejected(rows, …)

Nothing is read before an action. Every window has a total order, so every engine rejects the same
one of two equal rows: the later. A row that cannot repeat another has a unique key, so that no
window gets all rejected rows in one partition. Windows see keys only, and what they find is joined
with the rows as the left side: the one that Sail holds in memory, while the other streams past.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from steps.prepare.filings import examination, examples
from steps.prepare.filings.judge import EXAMPLE, FILING
from steps.prepare.filings.measures import MEASURES
from steps.prepare.filings.split import EVAL, TRAIN, Split
from steps.prepare.schemas import PARTITION, REJECTED, files_for

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, WindowSpec

CONTRACT_BROKEN = "contract_broken"
NEAR_DUPLICATE = "near_duplicate"
FAMILY_IN_TRAIN = "family_in_train"
ANSWER_IN_TRAIN = "answer_in_train"
_ROW = (
    "kind", "source_filing", "cik", "company", "filing_type", "filing_date", "reason", "detail",
    "ignored", "filing_id", "raw_sha256", "fingerprint", "year", "example_id", "heading_key",
    "rank", *MEASURES,
)  # fmt: skip
DECIDED = (*_ROW, "row")  # the columns of decided rows
_VERDICT = ("reason", "detail")
# What repeats are found by, of the rows of each kind.
KEYS = {
    FILING: (*_VERDICT, "filing_date", "source_filing", "cik", "filing_key", "filing_id",
             "section_sha256"),
    EXAMPLE: (*_VERDICT, "filing_date", "source_filing", "filing_key", "example_id", "text_sha256"),
}  # fmt: skip


def decided(read: Callable[[str, Sequence[str]], "DataFrame"]) -> "DataFrame":
    """Return all filings with their rejection reason, and the risk factors of the kept ones.

    `read` returns the rows of a kind with these columns (`steps.prepare.delta.staging`).
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    judged = read(FILING, KEYS[FILING])
    for key, reason in (
        ("filing_id", examination.DUPLICATE_FILING),
        ("section_sha256", examination.DUPLICATE_SECTION),
    ):
        judged = _without_repeated_filings(judged, key=key, reason=reason)
    kept = judged.where(F.col("reason").isNull()).select("filing_key").distinct()
    once = _without_repeated_examples(kept.join(read(EXAMPLE, KEYS[EXAMPLE]), "filing_key"))
    others = [name for name in _ROW if name not in _VERDICT]
    both = [
        verdicts.select("row", *_VERDICT).join(read(kind, others), "row").select(*DECIDED)
        for kind, verdicts in ((FILING, judged), (EXAMPLE, once))
    ]
    return both[0].unionByName(both[1])


def usable() -> "Column":
    """Return whether a row is an example without a reason against it."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return (F.col("kind") == EXAMPLE) & F.col("reason").isNull()


def linked(rows: "DataFrame", links: "DataFrame", names: "DataFrame") -> "DataFrame":
    """Return decided rows with `family_id`, near duplicates rejected.

    Args:
        rows: the decided rows.
        links: one row for each example with a link (`steps.prepare.repeats.links`).
        names: `kind`, `row` and `example_id` of all decided rows.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    found = links.withColumnRenamed("row", "_key")
    rows = found.join(rows.withColumn("_key", _or_none(usable(), F.col("row"))), "_key", "right")
    first = names.where(F.col("kind") == EXAMPLE).select(
        F.col("row").alias("_near"), F.col("example_id").alias("near_id")
    )
    near = usable() & F.col("near_row").isNotNull()
    named = links.where(F.col("near_row").isNotNull()).select(F.col("near_row").alias("_near"))
    first = named.distinct().join(first, "_near")
    rows = first.join(rows.withColumn("_near", _or_none(near, F.col("near_row"))), "_near", "right")
    family = F.lpad(F.lower(F.hex(F.coalesce("family_rank", "rank"))), 16, "0")
    marked = rows.withColumn("family_id", F.when(usable(), family))
    return _reasoned(marked, near, NEAR_DUPLICATE, "similar to", F.col("near_id")).select(
        *DECIDED, "family_id"
    )


def _or_none(test: "Column", number: "Column") -> "Column":
    """Return a row's number to look up, else one that no row has: nulls would share one task."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return F.when(test, number).otherwise(-1 - F.col("row"))


def final(rows: "DataFrame", split: Split) -> "DataFrame":
    """Return linked rows with the `split` of the usable examples.

    Examples of eval are rejected if train has their family, or a risk factor with their heading.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    rows = rows.withColumn("split", F.when(usable(), split.column()))
    for key, reason, detail in (
        ("family_id", FAMILY_IN_TRAIN, "same family as"),
        ("heading_key", ANSWER_IN_TRAIN, "same heading as"),
    ):
        if key == "family_id" and not split.cuts_families:
            continue
        there = rows.where(usable() & (F.col("split") == TRAIN))
        first = there.groupBy(F.col(key).alias("_own")).agg(F.min("example_id").alias("_first"))
        asked = usable() & (F.col("split") == EVAL)
        own = F.when(asked, F.col(key).cast("string")).otherwise(F.concat(F.lit("-"), "row"))
        first = first.withColumn("_own", F.col("_own").cast("string"))
        rows = first.join(rows.withColumn("_own", own), "_own", "right")
        taught = asked & F.col("_first").isNotNull()
        rows = _reasoned(rows, taught, reason, detail, F.col("_first")).drop("_own", "_first")
    return rows.withColumn("split", F.when(usable(), F.col("split")))


def kept(rows: "DataFrame") -> "DataFrame":
    """Return `row`, `split` and `family_id` of each example of the curated table."""
    return rows.where(usable()).select("row", "split", "family_id")


def rejected(rows: "DataFrame", *, execution_id: str, count: int) -> "DataFrame":
    """Return the rows of the rejected table: every dropped filing and risk factor.

    Args:
        rows: all rows, decided.
        execution_id: the partition of the table.
        count: how many rows these are. They are spread over tasks by all that they hold, because
            any single column may be the same for most of them.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    dropped = rows.where(F.col("reason").isNotNull()).withColumn(PARTITION, F.lit(execution_id))
    spread = [name for name in REJECTED.names if name != PARTITION]
    return dropped.select(*REJECTED.names).repartition(files_for(count), *spread)


def quarantined(rows: "DataFrame") -> "DataFrame":
    """Return decided rows of a run that broke its contract: every kept example is rejected.

    The detail has the digest of the row that the curated table would hold, and no text.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return _reasoned(rows, usable(), CONTRACT_BROKEN, "sha256", F.col("fingerprint"))


def _without_repeated_filings(filings: "DataFrame", *, key: str, reason: str) -> "DataFrame":
    """Reject usable filings that repeat the `key` of an earlier one."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    good = F.col("reason").isNull()
    equals = _window(good, key, "row").orderBy("filing_date", "source_filing", "filing_key")
    first = F.concat_ws(" of ", F.first("source_filing").over(equals), F.first("cik").over(equals))
    return _rejected(filings, good & (F.row_number().over(equals) > 1), reason, first)


def _without_repeated_examples(of_kept: "DataFrame") -> "DataFrame":
    """Reject usable examples that repeat the text of an earlier one.

    A filing that was loaded twice has the same examples twice, with the same ids: one of each is
    kept, the other is left out.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    good = F.col("reason").isNull()
    equals = _window(good, "text_sha256", "example_id")
    equals = equals.orderBy("filing_date", "source_filing", "example_id")
    copy = F.coalesce(F.lag("example_id").over(equals) == F.col("example_id"), F.lit(False))
    marked = _rejected(
        of_kept.withColumn("_copy", copy),
        good & (F.row_number().over(equals) > 1),
        examples.DUPLICATE_EXAMPLE,
        F.first("example_id").over(equals),
    )
    return marked.where(~F.col("_copy")).drop("_copy")


def _window(good: "Column", key: str, own: str) -> "WindowSpec":
    """Return a window of the good rows with an equal key; any other row has its own."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    value = F.when(good, F.col(key).cast("string")).otherwise(F.col(own).cast("string"))
    return Window.partitionBy(good, value)


def _rejected(rows: "DataFrame", repeats: "Column", reason: str, first: "Column") -> "DataFrame":
    marked = rows.withColumns({"_repeats": repeats, "_first": first})
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    found = _reasoned(marked, F.col("_repeats"), reason, "same as", F.col("_first"))
    return found.drop("_repeats", "_first")


def _reasoned(
    rows: "DataFrame", test: "Column", reason: str, words: str, of: "Column"
) -> "DataFrame":
    """Return the rows with reason and detail where `test` holds; both are read before."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    detail = F.concat(F.lit(f"{words} "), of)
    return rows.withColumns(
        {
            "reason": F.when(test, F.lit(reason)).otherwise(F.col("reason")),
            "detail": F.when(test, detail).otherwise(F.col("detail")),
        }
    )
