"""Map the kernel over the raw rows in Spark, then reject duplicates across rows.

    rows = judged(raw)           # one row per filing and one per risk factor, reason null or not
    curated(rows, …), rejected(rows, …)

Nothing is read before an action, and each action reads the raw rows once. A filing's text does not
leave the kernel: only its digests and its examples, each of a few thousand characters, are
shuffled. Every window has a total order, so every engine rejects the same one of two equal rows:
the later. A row that cannot repeat another has a unique key, so that no window gets all rejected
rows in one partition.
"""

import hashlib
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from steps.prepare.arrow_tasks import mapped
from steps.prepare.filings import examination, examples
from steps.prepare.filings.split import split_column
from steps.prepare.schemas import EXAMPLES, REJECTED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, WindowSpec

FILING, EXAMPLE = "filing", "example"

_FILING_FIELDS = tuple(name for name in examination.SCHEMA.names if name not in {"risk_factors"})
_EXAMPLE_FIELDS = tuple(name for name in examples.SCHEMA.names if name not in _FILING_FIELDS)
# `filing_key` is equal for equal filings only; `own_key` is different for every row of a batch.
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("kind", "filing_key", "own_key")),
        *(examination.SCHEMA.field(name) for name in _FILING_FIELDS),
        *(examples.SCHEMA.field(name) for name in _EXAMPLE_FIELDS),
    ]
)
DDL = ", ".join(f"{field.name} {'int' if field.name == 'year' else 'string'}" for field in SCHEMA)


def kernel(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a row per filing, and a row per risk factor of the usable filings."""
    found = examination.examine(batch)
    narrow = found.select(list(_FILING_FIELDS))
    keys = [_digest(row) for row in narrow.to_pylist()]
    own = [_digest([position, key]) for position, key in enumerate(keys)]
    kept = pa.record_batch(
        [*found.columns, keys], names=[*found.schema.names, "filing_key"]
    ).filter(pc.is_null(found["reason"]))
    written = examples.write(kept)
    counts = examples.rows_of(kept).to_pylist()
    of_filings = [
        key
        for key, count in zip(kept["filing_key"].to_pylist(), counts, strict=True)
        for _ in range(count)
    ]
    return pa.concat_batches(
        [
            _rows(FILING, narrow, keys, own),
            _rows(EXAMPLE, written, of_filings, written["example_id"].to_pylist()),
        ]
    )


def judged(raw: "DataFrame") -> "DataFrame":
    """Return all filings with their rejection reason, and the risk factors of the kept ones."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    rows = raw.mapInArrow(mapped(kernel), DDL)
    for key, reason in (
        ("filing_id", examination.DUPLICATE_FILING),
        ("section_sha256", examination.DUPLICATE_SECTION),
    ):
        rows = _without_repeated_filings(rows, key=key, reason=reason)
    usable = (F.col("kind") == EXAMPLE) & F.col("reason").isNull()
    equals = _window(F.col("text_sha256"), usable, ["filing_date", "source_filing", "example_id"])
    return _rejected(
        rows,
        usable & (F.row_number().over(equals) > 1),
        examples.DUPLICATE_EXAMPLE,
        F.first("example_id").over(equals),
    )


def curated(rows: "DataFrame", *, execution_id: str, bound: str, seed: int) -> "DataFrame":
    """Return the rows of the curated table."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    kept = rows.where((F.col("kind") == EXAMPLE) & F.col("reason").isNull()).withColumns(
        {
            "execution_id": F.lit(execution_id),
            "split": split_column(F.col("cik"), bound=bound, seed=seed),
        }
    )
    return kept.select(*EXAMPLES.names)


def rejected(rows: "DataFrame", *, execution_id: str) -> "DataFrame":
    """Return the rows of the rejected table: every dropped filing and risk factor."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return (
        rows.where("reason IS NOT NULL")
        .withColumn("execution_id", F.lit(execution_id))
        .select(*REJECTED.names)
    )


def _without_repeated_filings(rows: "DataFrame", *, key: str, reason: str) -> "DataFrame":
    """Reject repeated usable filings with the same `key`, and drop their examples.

    A filing that was loaded twice has the same examples twice, with the same ids: one of each is
    kept.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    usable = (F.col("kind") == EXAMPLE) | F.col("reason").isNull()
    equals = _window(
        F.col(key), usable, ["filing_date", "source_filing", "filing_key", "example_id"]
    )
    is_filing = F.col("kind") == FILING
    again = F.when(is_filing, F.row_number().over(equals) > 1).otherwise(
        (F.col("filing_key") != F.first("filing_key").over(equals))
        | F.coalesce(F.lag("example_id").over(equals) == F.col("example_id"), F.lit(False))
    )
    marked = rows.withColumns(
        {
            "_again": usable & again,
            "_first": F.concat_ws(
                " of ", F.first("source_filing").over(equals), F.first("cik").over(equals)
            ),
        }
    ).where(is_filing | ~F.col("_again"))
    return _rejected(marked, F.col("_again"), reason, F.col("_first")).drop("_again", "_first")


def _window(key: "Column", usable: "Column", order: list[str]) -> "WindowSpec":
    """Return a window of the equal usable rows of one kind; any other row has its own."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    return Window.partitionBy(
        "kind", usable, F.when(usable, key).otherwise(F.col("own_key"))
    ).orderBy(*order)


def _rejected(rows: "DataFrame", repeats: "Column", reason: str, first: "Column") -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    marked = rows.withColumns({"_repeats": repeats, "_same_as": F.concat(F.lit("same as "), first)})
    return marked.withColumns(
        {
            "reason": F.when(F.col("_repeats"), F.lit(reason)).otherwise(F.col("reason")),
            "detail": F.when(F.col("_repeats"), F.col("_same_as")).otherwise(F.col("detail")),
        }
    ).drop("_repeats", "_same_as")


def _digest(values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()


def _rows(
    kind: str, batch: pa.RecordBatch, filing_keys: list[str], own_keys: list[str]
) -> pa.RecordBatch:
    given = {"kind": [kind] * len(batch), "filing_key": filing_keys, "own_key": own_keys}
    columns = [pa.array(values, pa.string()) for values in given.values()]
    there = set(batch.schema.names)
    for field in list(SCHEMA)[len(given) :]:
        columns.append(
            batch[field.name] if field.name in there else pa.nulls(len(batch), field.type)
        )
    return pa.record_batch(columns, schema=SCHEMA)
