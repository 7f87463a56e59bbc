"""Reject duplicates across all rows, by their keys: dates, names and digests, never the text.

    for rows in decided(staged.read, rounds): …     # the exact duplicates are rejected
    kept(rows), rejected(rows, …)                   # of the final rows (steps.prepare.verdict)

Every window has a total order, so every engine rejects the same
one of two equal rows: the later. A row that cannot repeat another has a unique key, so that no
window gets all rejected rows in one partition. Windows see keys only, and what they find is joined
with the rows as the left side: the one that Sail holds in memory, while the other streams past.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from steps.prepare.filings import examination, examples
from steps.prepare.filings.judge import EXAMPLE, FILING, SCHEMA
from steps.prepare.filings.measures import MEASURES
from steps.prepare.rounds.rounds import Rounds
from steps.prepare.rounds.shards import WHOLE, Shard
from steps.prepare.schemas import PARTITION, REJECTED, files_for
from steps.prepare.session import at_most

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, WindowSpec

CONTRACT_BROKEN = "contract_broken"
NEAR_DUPLICATE = "near_duplicate"
FAMILY_IN_TRAIN = "family_in_train"
ANSWER_IN_TRAIN = "answer_in_train"
_ROW = (
    "kind", "source_filing", "cik", "company", "filing_type", "filing_date", "reason", "detail",
    "ignored", "filing_id", "raw_sha256", "fingerprint", "year", "example_id", "heading_key",
    "rank", "compares", *MEASURES,
)  # fmt: skip
DECIDED = (*_ROW, "row")  # the columns of decided rows
_VERDICT = ("reason", "detail")
_OTHERS = tuple(name for name in _ROW if name not in _VERDICT)
VERDICT = pa.schema([("row", pa.int64()), *((name, pa.string()) for name in _VERDICT)])
# What repeats are found by, of the rows of each kind.
KEYS = {
    FILING: (*_VERDICT, "filing_date", "source_filing", "cik", "filing_key", "filing_id",
             "section_sha256"),
    EXAMPLE: (*_VERDICT, "filing_date", "source_filing", "filing_key", "example_id", "text_sha256"),
}  # fmt: skip
# Of an example, and what equal texts share.
_KEYED = pa.schema([*(SCHEMA.field(name) for name in KEYS[EXAMPLE]), ("equals", pa.string()),
                    ("row", pa.int64())])  # fmt: skip


class Read(Protocol):
    """Returns rows of a kind with these columns and `row` (`steps.prepare.delta.staging`)."""

    def __call__(self, kind: str, columns: Sequence[str], shard: Shard = WHOLE, /) -> "DataFrame":
        """Return the frame."""


def decided(read: Read, rounds: Rounds) -> "Iterator[DataFrame]":
    """Yield all filings with their rejection reason, and the risk factors of the kept ones."""
    filings = _judged(read)
    equal = rounds.by("equals", [_keyed(filings, read)], _KEYED, kind="keyed")
    once = rounds.by_row("row", map(_once, equal), VERDICT, kind="once")
    for shard, verdicts in zip(rounds.shards, once, strict=True):
        rows = _whole(verdicts, read(EXAMPLE, _OTHERS, shard))
        if shard.number == 0:
            rows = _whole(filings, read(FILING, _OTHERS)).unionByName(rows)
        yield rows


def _judged(read: Read) -> "DataFrame":
    """Return the keys of all filings, with the reason of those that repeat an earlier one."""
    rows = read(FILING, KEYS[FILING])
    for key, reason in (
        ("filing_id", examination.DUPLICATE_FILING),
        ("section_sha256", examination.DUPLICATE_SECTION),
    ):
        rows = _without_repeated_filings(rows, key=key, reason=reason)
    return rows


def _keyed(filings: "DataFrame", read: Read) -> "DataFrame":
    """Return the keys of the examples of kept filings; rows of one `equals` have equal texts."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    kept = filings.where(F.col("reason").isNull()).select("filing_key").distinct()
    of_kept = kept.join(read(EXAMPLE, KEYS[EXAMPLE]), "filing_key")
    return of_kept.withColumn("equals", _equals(_good(), "text_sha256", "example_id"))


def _once(examples_of_kept: "DataFrame") -> "DataFrame":
    """Return `VERDICT` of examples; those that repeat the text of an earlier one are rejected.

    A filing that was loaded twice has the same examples twice, with the same ids: one of each is
    kept, the other is left out.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    equals = Window.partitionBy("equals").orderBy("filing_date", "source_filing", "example_id")
    copy = F.coalesce(F.lag("example_id").over(equals) == F.col("example_id"), F.lit(False))
    marked = _rejected(
        examples_of_kept.withColumn("_copy", copy),
        _good() & (F.row_number().over(equals) > 1),
        examples.DUPLICATE_EXAMPLE,
        F.first("example_id").over(equals),
    )
    return marked.where(~F.col("_copy")).select(*VERDICT.names)


def _whole(verdicts: "DataFrame", others: "DataFrame") -> "DataFrame":
    """Return decided rows: the verdicts, and the other columns of the same rows."""
    return verdicts.select(*VERDICT.names).join(others, "row").select(*DECIDED)


def usable() -> "Column":
    """Return whether a row is an example without a reason against it."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return (F.col("kind") == EXAMPLE) & F.col("reason").isNull()


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
    return dropped.select(*REJECTED.names).repartition(at_most(files_for(count)), *spread)


def quarantined(rows: "DataFrame") -> "DataFrame":
    """Return decided rows of a run that broke its contract: every kept example is rejected.

    The detail has the digest of the row that the curated table would hold, and no text.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return reasoned(rows, usable(), CONTRACT_BROKEN, "sha256", F.col("fingerprint"))


def _without_repeated_filings(filings: "DataFrame", *, key: str, reason: str) -> "DataFrame":
    """Reject usable filings that repeat the `key` of an earlier one."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    good = F.col("reason").isNull()
    equals = _window(good, key, "row").orderBy("filing_date", "source_filing", "filing_key")
    first = F.concat_ws(" of ", F.first("source_filing").over(equals), F.first("cik").over(equals))
    return _rejected(filings, good & (F.row_number().over(equals) > 1), reason, first)


def _window(good: "Column", key: str, own: str) -> "WindowSpec":
    """Return a window of the good rows with an equal key; any other row has its own."""
    from pyspark.sql import Window

    return Window.partitionBy(_equals(good, key, own))


def _good() -> "Column":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return F.col("reason").isNull()


def _equals(good: "Column", key: str, own: str) -> "Column":
    """Return the key of a good row; any other row has a separate one."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    value = F.when(good, F.col(key)).otherwise(F.col(own).cast("string"))
    return F.concat(F.when(good, "+").otherwise("-"), value)


def _rejected(rows: "DataFrame", repeats: "Column", reason: str, first: "Column") -> "DataFrame":
    marked = rows.withColumns({"_repeats": repeats, "_first": first})
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    found = reasoned(marked, F.col("_repeats"), reason, "same as", F.col("_first"))
    return found.drop("_repeats", "_first")


def reasoned(
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
