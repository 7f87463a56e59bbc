"""All decisions about few rows, in one task: polars over whole columns.

    rows = few.decided(staged, split_of)       # KEPT: the final rows, and what is counted

Of few rows most of the cost is that of the plans: four actions with windows and joins, and files
between them. Repeats are found by the functions that Spark's tasks use (`steps.prepare.repeats`).
Windows and joins are those of `steps.prepare.filings.decision` and `steps.prepare.verdict.linked`
again, and `tests/steps/prepare/verdict` holds both equal, on random filings.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from steps.prepare.arrow_tasks import bounded, map_in_arrow
from steps.prepare.delta.staging.interface import Staged
from steps.prepare.filings import decision, examination, examples, judge, vocabulary
from steps.prepare.filings.decision import DECIDED
from steps.prepare.filings.judge import EXAMPLE, FILING
from steps.prepare.filings.split import EVAL, TRAIN, Split
from steps.prepare.repeats import at_once

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SplitOf = Callable[[Collection[str]], Split]  # of the companies that have examples

MOST = at_once.MOST
# What is counted is read from the kept rows alone (`steps.prepare.verdict.few_counted`).
COUNTED = ("grams", "template", vocabulary.NAME)
_ROW = pa.field("row", pa.int64())
_NAMES = dict.fromkeys(
    (*DECIDED, *COUNTED, "filing_key", "section_sha256", "text_sha256", *at_once.TEXTS.names)
)
GIVEN = pa.schema([_ROW if name == "row" else judge.SCHEMA.field(name) for name in _NAMES])
KEPT = pa.schema(
    [GIVEN.field(name) for name in (*DECIDED, *COUNTED)]
    + [(name, pa.string()) for name in ("family_id", "split")]
)
_ORDER = ("filing_date", "source_filing")
_ROWS_OF_A_BATCH = 8_192
_GOOD = pl.col("reason").is_null()
_UNSIGNED = 2**64 - 1


def decided(staged: Staged, split_of: SplitOf) -> "DataFrame":
    """Return `KEPT` of all filings, and of the risk factors of the kept ones."""
    filings, factors = (
        staged.read(kind, GIVEN.names).select(*GIVEN.names) for kind in (FILING, EXAMPLE)
    )

    def decide(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        given = (batch.select(GIVEN.names).cast(GIVEN) for batch in batches)
        table = pa.Table.from_batches(given, schema=GIVEN)
        found = of_rows(pl.DataFrame(table), split_of).select(KEPT.names).to_arrow().cast(KEPT)
        yield from bounded(found.to_batches(), rows=_ROWS_OF_A_BATCH)

    return map_in_arrow(filings.union(factors).repartition(1), decide, KEPT)


def of_rows(rows: pl.DataFrame, split_of: SplitOf) -> pl.DataFrame:
    """Decide about rows with `GIVEN`."""
    filings = rows.filter(kind=FILING)
    for key, reason in (
        ("filing_id", examination.DUPLICATE_FILING),
        ("section_sha256", examination.DUPLICATE_SECTION),
    ):
        filings = _without_repeated(filings, key, reason)
    of_kept = filings.filter(_GOOD).select("filing_key").unique()
    found = _once(rows.filter(kind=EXAMPLE).join(of_kept, on="filing_key", how="semi"))
    found = _verdicts(found, _linked(found.filter(_GOOD)), split_of)
    return pl.concat([filings, found], how="diagonal")


def _without_repeated(filings: pl.DataFrame, key: str, reason: str) -> pl.DataFrame:
    """Reject usable filings that repeat the `key` of an earlier one."""
    first = pl.concat_str("source_filing", "cik", separator=" of ", ignore_nulls=True).first()
    good = filings.filter(_GOOD).sort(*_ORDER, "filing_key")
    numbers = pl.int_range(pl.len()).over(key)
    again = good.select("row", _first=pl.when(numbers > 0).then(first.over(key)))
    return _because(filings.join(again, on="row", how="left"), reason, "same as", "_first")


def _once(factors: pl.DataFrame) -> pl.DataFrame:
    """Reject examples that repeat an earlier one's text; of one that is there twice, one goes."""
    equals = pl.when(_GOOD).then("text_sha256").otherwise(pl.concat_str(pl.lit("-"), "example_id"))
    ordered = factors.with_columns(_equals=equals).sort(*_ORDER, "example_id")
    of_equals = ordered.with_columns(
        _copy=pl.col("example_id").shift().over("_equals") == pl.col("example_id"),
        _first=pl.when(_GOOD & (pl.int_range(pl.len()).over("_equals") > 0)).then(
            pl.col("example_id").first().over("_equals")
        ),
    )
    there = of_equals.filter(~pl.col("_copy").fill_null(value=False)).drop("_copy", "_equals")
    return _because(there, examples.DUPLICATE_EXAMPLE, "same as", "_first")


def _linked(usable: pl.DataFrame) -> pl.DataFrame:
    """Return `row`, `family_id` and `near_id`: the example that is kept instead of this one."""
    texts = usable.select(at_once.TEXTS.names).to_arrow().cast(at_once.TEXTS)
    near, family = at_once.links(texts)
    rows, ranks = usable["row"].to_list(), usable["rank"].to_list()
    ids = dict(zip(rows, usable["example_id"], strict=True))
    first = [family.get(row, rank) for row, rank in zip(rows, ranks, strict=True)]
    return pl.DataFrame(
        {
            "row": rows,
            "family_id": [f"{rank & _UNSIGNED:016x}" for rank in first],
            "near_id": [ids.get(near.get(row)) for row in rows],
        },
        {"row": pl.Int64, "family_id": pl.String, "near_id": pl.String},
    )


def _verdicts(factors: pl.DataFrame, links: pl.DataFrame, split_of: SplitOf) -> pl.DataFrame:
    """Add family and split; reject near duplicates, and what of eval train has already."""
    found = factors.join(links, on="row", how="left")
    there = _GOOD & pl.col("near_id").is_null()
    split = split_of(found.filter(there)["cik"].unique().to_list())
    found = found.with_columns(split=pl.when(_GOOD).then(split.of(found)))
    taught = {decision.ANSWER_IN_TRAIN: "heading_key"}
    if split.cuts_families:
        taught = {decision.FAMILY_IN_TRAIN: "family_id", **taught}
    for reason, key in taught.items():
        train = found.filter(there & (pl.col("split") == TRAIN)).group_by(key)
        found = found.join(train.agg(pl.col("example_id").min().alias(reason)), on=key, how="left")
    found = _because(found, decision.NEAR_DUPLICATE, "similar to", "near_id")
    of_eval = _GOOD & (pl.col("split") == EVAL)
    for reason in taught:
        words = "same family as" if reason == decision.FAMILY_IN_TRAIN else "same heading as"
        found = found.with_columns(pl.when(of_eval).then(reason).alias(reason))
        found = _because(found, reason, words, reason)
    return found.with_columns(split=pl.when(_GOOD).then("split"))


def _because(rows: pl.DataFrame, reason: str, words: str, of: str) -> pl.DataFrame:
    """Reject the rows with a value in `of`, a column that goes."""
    there = pl.col(of).is_not_null()
    return rows.with_columns(
        reason=pl.when(there).then(pl.lit(reason)).otherwise("reason"),
        detail=pl.when(there).then(pl.concat_str(pl.lit(f"{words} "), of)).otherwise("detail"),
    ).drop(of)
