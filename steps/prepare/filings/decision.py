"""Reject duplicates across all rows, by their keys: dates, names and digests, never the text.

    rows = decided(filings, examples)      # both with the columns of KEYS, and `row`
    curated(kept, …), rejected(rows, …)

Nothing is read before an action. Every window has a total order, so every engine rejects the same
one of two equal rows: the later. A row that cannot repeat another has a unique key, so that no
window gets all rejected rows in one partition.
"""

from typing import TYPE_CHECKING

from steps.prepare.filings import examination, examples
from steps.prepare.filings.judge import EXAMPLE, FILING
from steps.prepare.filings.measures import MEASURES
from steps.prepare.filings.split import split_column
from steps.prepare.schemas import PARTITION, REJECTED, files_for

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, WindowSpec

CONTRACT_BROKEN = "contract_broken"
_ROW = (
    "kind", "source_filing", "cik", "company", "filing_type", "filing_date", "reason", "detail",
    "ignored", "filing_id", "raw_sha256", "fingerprint", "year", *MEASURES,
)  # fmt: skip
# What is read of the rows of each kind.
KEYS = {
    FILING: (*_ROW, "filing_key", "own_key", "section_sha256"),
    EXAMPLE: (*_ROW, "filing_key", "example_id", "text_sha256"),
}


def decided(filings: "DataFrame", examples_: "DataFrame") -> "DataFrame":
    """Return all filings with their rejection reason, and the risk factors of the kept ones."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    for key, reason in (
        ("filing_id", examination.DUPLICATE_FILING),
        ("section_sha256", examination.DUPLICATE_SECTION),
    ):
        filings = _without_repeated_filings(filings, key=key, reason=reason)
    kept = filings.where(F.col("reason").isNull()).select("filing_key")
    once = _without_repeated_examples(examples_.join(kept, "filing_key", "left_semi"))
    columns = (*_ROW, "row")
    return filings.select(*columns).unionByName(once.select(*columns))


def kept(rows: "DataFrame", *, bound: str, seed: int) -> "DataFrame":
    """Return `row` and `split` of each example of the curated table."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    usable = (F.col("kind") == EXAMPLE) & F.col("reason").isNull()
    split = split_column(F.col("cik"), bound=bound, seed=seed)
    return rows.where(usable).select("row", split.alias("split"))


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

    usable = (F.col("kind") == EXAMPLE) & F.col("reason").isNull()
    detail = F.concat(F.lit("sha256 "), F.col("fingerprint"))
    return rows.withColumns(
        {
            "detail": F.when(usable, detail).otherwise(F.col("detail")),
            "reason": F.when(usable, F.lit(CONTRACT_BROKEN)).otherwise(F.col("reason")),
        }
    )


def _without_repeated_filings(filings: "DataFrame", *, key: str, reason: str) -> "DataFrame":
    """Reject usable filings that repeat the `key` of an earlier one."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    usable = F.col("reason").isNull()
    equals = _window(usable, key, "own_key", ["filing_date", "source_filing", "filing_key"])
    first = F.concat_ws(" of ", F.first("source_filing").over(equals), F.first("cik").over(equals))
    return _rejected(filings, usable & (F.row_number().over(equals) > 1), reason, first)


def _without_repeated_examples(of_kept: "DataFrame") -> "DataFrame":
    """Reject usable examples that repeat the text of an earlier one.

    A filing that was loaded twice has the same examples twice, with the same ids: one of each is
    kept, the other is left out.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    usable = F.col("reason").isNull()
    equals = _window(
        usable, "text_sha256", "example_id", ["filing_date", "source_filing", "example_id"]
    )
    copy = F.coalesce(F.lag("example_id").over(equals) == F.col("example_id"), F.lit(False))
    marked = _rejected(
        of_kept.withColumn("_copy", copy),
        usable & (F.row_number().over(equals) > 1),
        examples.DUPLICATE_EXAMPLE,
        F.first("example_id").over(equals),
    )
    return marked.where(~F.col("_copy")).drop("_copy")


def _window(usable: "Column", key: str, own: str, order: list[str]) -> "WindowSpec":
    """Return a window of the usable rows with an equal key; any other row has its own."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return Window.partitionBy(usable, F.when(usable, F.col(key)).otherwise(F.col(own))).orderBy(
        *order
    )


def _rejected(rows: "DataFrame", repeats: "Column", reason: str, first: "Column") -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    marked = rows.withColumns({"_repeats": repeats, "_same_as": F.concat(F.lit("same as "), first)})
    return marked.withColumns(
        {
            "reason": F.when(F.col("_repeats"), F.lit(reason)).otherwise(F.col("reason")),
            "detail": F.when(F.col("_repeats"), F.col("_same_as")).otherwise(F.col("detail")),
        }
    ).drop("_repeats", "_same_as")
