"""Count and hash all rows before anything is committed, on Spark.

    found = survey(frames, rounds)      # steps.prepare.filings.survey.Survey

The digest is of rows, not of files: the sha256 over the sorted sha256 of rows, per filing, then per
company. So it is the same on every engine, and two runs of one execution can be compared although
their files may differ. No task gathers the rows of a company: only those of a filing, or a 256th of
a company's rejected rows.
"""

from collections.abc import Iterable
from sys import intern
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.filings import decision, groups, measures
from steps.prepare.filings.examination import INVALID, NOT_UTF8
from steps.prepare.filings.groups import Group
from steps.prepare.filings.judge import GIVEN, NULL, SEPARATOR
from steps.prepare.filings.survey import Survey
from steps.prepare.rounds.rounds import AT_ONCE, Rounds
from steps.prepare.schemas import REJECTED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row

# The details of these reasons are the same for many filings and quote no filing.
DETAILED = (INVALID, NOT_UTF8)
IDENTITY = ("filing_id", "raw_sha256")
# Between the rounds: rows, and their filings.
_ROWS = pa.schema(
    [(name, pa.string()) for name in ("key", *groups.KEY, *IDENTITY, "share", "print")]
    + [(name, pa.int32()) for name in ("year", *measures.MEASURES)]
)
_FILINGS = pa.schema(
    [(name, pa.string()) for name in ("key", *groups.KEY, *IDENTITY, "prints")]
    + [("year", pa.int32()), *((name, pa.int64()) for name in ("rows", *measures.MEASURES))]
)


def survey(frames: "Iterable[DataFrame]", rounds: Rounds = AT_ONCE) -> Survey:
    """Count and fingerprint the final rows, by their keys; each frame has a part of them.

    The rows are grouped by filing first, then by company, on the executors. Only identities,
    digests and counts come to the driver.
    """
    of_rows = rounds.by("key", map(_of_rows, frames), _ROWS, kind="survey")
    filings = rounds.by("key", map(_by_filing, of_rows), _FILINGS, kind="survey_filings")
    found = [_group(row) for frame in filings for row in _by_company(frame).collect()]
    return Survey(tuple(sorted(found, key=Group.order)))


def _group(row: "Row") -> Group:
    """Return a row of `_by_company`; there are as many as companies, so names are held once."""
    named = {name: intern(row[name]) for name in groups.KEY if row[name] is not None}
    return Group(**row.asDict() | named | {"filings": tuple(sorted(row["filings"]))})


def _of_rows(rows: "DataFrame") -> "DataFrame":
    """Return `_ROWS`; `key` is the same for all rows that are grouped with one."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    kept_example = decision.usable()
    remark = F.when(F.col("reason").isin(*DETAILED), F.col("detail")).when(
        F.col("reason").isNull(), F.col("ignored")
    )
    of_kept = F.sha2(F.concat_ws(SEPARATOR, "fingerprint", "family_id"), 256)
    share = F.when(F.col("filing_id").isNull(), F.substring("print", 1, 2))
    made = rows.select(
        *("kind", "cik", "reason", "split", "year", *measures.MEASURES),
        remark.alias("remark"),
        F.when(kept_example, of_kept).otherwise(_of_rejected()).alias("print"),
        *(F.when(kept_example, F.col(name)).alias(name) for name in IDENTITY),
    ).withColumn("share", share)
    key = F.concat_ws("/", "cik", F.coalesce("filing_id", "share"))
    return made.withColumn("key", key).select(*_ROWS.names)


def _by_filing(rows: "DataFrame") -> "DataFrame":
    """Return `_FILINGS`: a row for each filing, or 256th of a company's rejected rows."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    grouped = rows.groupBy(*groups.KEY, *IDENTITY, "share").agg(
        F.count(F.lit(1)).alias("rows"), _digest("print").alias("prints"), *measures.sums()
    )
    return grouped.withColumn("key", F.coalesce("cik", F.lit(""))).select(*_FILINGS.names)


def _by_company(filings: "DataFrame") -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    member = F.concat_ws(
        groups.SEPARATOR, *IDENTITY, F.col("rows").cast("string"), *measures.texts()
    )
    return filings.groupBy(*groups.KEY).agg(
        F.sum("rows").alias("rows"),
        F.concat_ws(",", *(F.sum(name).cast("string") for name in measures.STYLES.values())).alias(
            "styles"
        ),
        _digest("prints").alias("sha256"),
        F.collect_list(F.when(F.col("filing_id").isNotNull(), member)).alias("filings"),
    )


def _digest(column: str) -> "Column":
    """sha256 of all digests of a group, in order."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return F.sha2(F.array_join(F.array_sort(F.collect_list(column)), ""), 256)


def _of_rejected() -> "Column":
    """sha256 of a row as the rejected table will hold it; null and empty text differ."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    texts = [F.coalesce(F.col(name), F.lit(NULL)) for name in REJECTED.names if name not in GIVEN]
    return F.sha2(F.concat_ws(SEPARATOR, *texts), 256)
