"""The relational half: kernels mapped over the raw rows, then what only shows across rows, which is duplicates.

    filings = judged_filings(raw)                # one row per raw row, reason null or not
    examples = judged_examples(filings)          # one row per risk factor of the kept filings
    curated(examples, …), rejected(filings, examples, …)

Lazy: nothing is read before an action. Every window has a total order, so every engine rejects the same one of two
equals: the later.
"""

from typing import TYPE_CHECKING

from steps.prepare import examples as example_kernel
from steps.prepare import filings as filing_kernel
from steps.prepare.arrow_tasks import mapped
from steps.prepare.schemas import EXAMPLES, REJECTED
from steps.prepare.split import split_column

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


# What two filings with one name, date and section may still differ in.
_DESCRIBED = ("cik", "company", "sic", "filing_type", "year", "section", "exact_sha256")


def judged_filings(raw: "DataFrame") -> "DataFrame":
    """Every raw row with its fields in canonical form and the first reason against it."""
    checked = raw.mapInArrow(mapped(filing_kernel.examine), filing_kernel.DDL)
    order = ["filing_date", "source_filing", "section_sha256", *_DESCRIBED]
    unique = _without_repeats(
        checked, key="source_filing", order=order, reason=filing_kernel.DUPLICATE_FILING, first="section_sha256"
    )
    return _without_repeats(
        unique, key="section_sha256", order=order, reason=filing_kernel.DUPLICATE_SECTION, first="source_filing"
    )


def judged_examples(filings: "DataFrame") -> "DataFrame":
    """One row per risk factor of the filings without a reason against them."""
    kept = filings.where("reason IS NULL")
    written = kept.mapInArrow(mapped(example_kernel.write), example_kernel.DDL)
    return _without_repeats(
        written,
        key="text_sha256",
        order=["filing_date", "source_filing", "example_id"],
        reason=example_kernel.DUPLICATE_EXAMPLE,
        first="example_id",
    )


def curated(examples: "DataFrame", *, execution_id: str, bound: str, seed: int) -> "DataFrame":
    """The rows of the curated table."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    rows = examples.where("reason IS NULL").withColumns(
        {"execution_id": F.lit(execution_id), "split": split_column(F.col("cik"), bound=bound, seed=seed)}
    )
    return rows.select(*EXAMPLES.names)


def rejected(filings: "DataFrame", examples: "DataFrame", *, execution_id: str) -> "DataFrame":
    """The rows of the rejected table: every filing and every risk factor that was dropped."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    def dropped(rows: "DataFrame") -> "DataFrame":
        return rows.where("reason IS NOT NULL").withColumn("execution_id", F.lit(execution_id)).select(*REJECTED.names)

    return dropped(filings).unionByName(dropped(examples))


def _without_repeats(rows: "DataFrame", *, key: str, order: list[str], reason: str, first: str) -> "DataFrame":
    """Reject every usable row but the first with the same `key`; `first` names that one in the detail."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    usable = F.col("reason").isNull()
    equals = Window.partitionBy(key, usable).orderBy(*order)
    repeat: Column = usable & (F.row_number().over(equals) > 1)
    marked = rows.withColumns({"_repeat": repeat, "_first": F.first(first).over(equals)})
    return marked.withColumns(
        {
            "reason": F.when(F.col("_repeat"), F.lit(reason)).otherwise(F.col("reason")),
            "detail": F.when(F.col("_repeat"), F.concat(F.lit("same as "), F.col("_first"))).otherwise(F.col("detail")),
        }
    ).drop("_repeat", "_first")
