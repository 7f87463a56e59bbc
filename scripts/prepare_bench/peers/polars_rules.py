"""Prepare's decisions about all rows, in polars and NumPy over whole columns held in memory.

    made = decided(rows, fraction=0.25, seed=17)      # rows of `judge.kernel`
    made.kept, made.dropped                           # the rows of both tables

Repeats are found by the program's own NumPy functions (`steps.prepare.repeats`), called once for
all rows. What is a plan of Spark in `steps.prepare.verdict` is polars here.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from steps.prepare.bounds import SplitRule
from steps.prepare.filings import decision, examination, examples, split
from steps.prepare.filings.judge import EXAMPLE, FILING
from steps.prepare.repeats import at_once
from steps.prepare.schemas import PARTITION, REJECTED

ORDER = ("filing_date", "source_filing")
_NONE = pl.col("reason").is_null()


class Decided(NamedTuple):
    """All filings, and the examples of the kept ones: each with its reason, or kept.

    Examples have `family_id`, and the kept ones `split`.
    """

    filings: pl.DataFrame
    examples: pl.DataFrame

    @property
    def kept(self) -> pl.DataFrame:
        """The examples of the curated table."""
        return self.examples.filter(_NONE)

    @property
    def dropped(self) -> pl.DataFrame:
        """The rows of the rejected table, without its partition."""
        names = [name for name in REJECTED.names if name != PARTITION]
        both = (self.filings, self.examples)
        return pl.concat(rows.filter(~_NONE).select(names) for rows in both)


def decided(rows: pl.DataFrame, *, fraction: float, seed: int) -> Decided:
    """Decide about every row: repeats, families, the split, and what train has already."""
    filings = rows.filter(pl.col("kind") == FILING)
    for key, reason in (
        ("filing_id", examination.DUPLICATE_FILING),
        ("section_sha256", examination.DUPLICATE_SECTION),
    ):
        filings = _without_repeated(filings, key, reason)
    kept = filings.filter(_NONE).select("filing_key").unique()
    found = rows.filter(pl.col("kind") == EXAMPLE).join(kept, on="filing_key", how="semi")
    found = _linked(_once(found))
    companies = found.filter(_NONE)["cik"].unique().to_list()
    bound = split.decided(SplitRule(), companies, fraction=fraction, seed=seed).bound
    held = [cik for cik in companies if split.rank(cik, seed) <= bound]
    side_of = pl.when(pl.col("cik").is_in(held)).then(pl.lit(split.EVAL))
    found = found.with_columns(split=pl.when(_NONE).then(side_of.otherwise(pl.lit(split.TRAIN))))
    return Decided(filings, _without_taught(found))


def _because(rows: pl.DataFrame, reason: str, words: str, of: str) -> pl.DataFrame:
    """Reject the rows with a value in `of`."""
    there = pl.col(of).is_not_null()
    return rows.with_columns(
        reason=pl.when(there).then(pl.lit(reason)).otherwise("reason"),
        detail=pl.when(there).then(pl.concat_str(pl.lit(f"{words} "), of)).otherwise("detail"),
    ).drop(of)


def _without_repeated(filings: pl.DataFrame, key: str, reason: str) -> pl.DataFrame:
    first = pl.concat_str("source_filing", "cik", separator=" of ", ignore_nulls=True)
    good = filings.filter(_NONE).sort(*ORDER, "filing_key").select(
        "row",
        _first=first.first().over(key),
        _number=pl.int_range(pl.len()).over(key),
    )  # fmt: skip
    again = good.filter(pl.col("_number") > 0).drop("_number")
    joined = filings.join(again, on="row", how="left", maintain_order="left")
    return _because(joined, reason, "same as", "_first")


def _once(found: pl.DataFrame) -> pl.DataFrame:
    """Reject examples with an earlier one's text; of a filing loaded twice one copy goes."""
    keys = found.select("row", *ORDER, "example_id", "reason", "text_sha256")
    equals = pl.when(_NONE).then("text_sha256").otherwise(pl.concat_str(pl.lit("-"), "example_id"))
    ordered = keys.with_columns(_equals=equals).sort(*ORDER, "example_id").with_columns(
        _number=pl.int_range(pl.len()).over("_equals"),
        _copy=(pl.col("example_id").shift().over("_equals") == pl.col("example_id")),
        _first=pl.col("example_id").first().over("_equals"),
    )  # fmt: skip
    verdicts = ordered.filter(~pl.col("_copy").fill_null(value=False)).select(
        "row", _first=pl.when(_NONE & (pl.col("_number") > 0)).then("_first")
    )
    there = found.join(verdicts, on="row", how="inner", maintain_order="left")
    return _because(there, examples.DUPLICATE_EXAMPLE, "same as", "_first")


def _linked(found: pl.DataFrame) -> pl.DataFrame:
    """Add `family_id`, and reject each near duplicate of an earlier example."""
    usable = found.with_row_index("place").filter(_NONE).with_columns(row=pl.col("place"))
    near, family = linked(usable)
    similar = np.full(len(found), -1, np.int64)
    similar[list(near)] = list(near.values())
    ranks = found["rank"].to_numpy().copy()
    ranks[list(family)] = list(family.values())
    first = pl.col("example_id").gather(pl.lit(pl.Series(similar.clip(0))))
    names = pl.Series([f"{rank:016x}" for rank in ranks.tolist()], dtype=pl.String)
    marked = found.with_columns(
        family_id=names, _near=pl.when(pl.lit(pl.Series(similar >= 0))).then(first)
    )
    return _because(marked, decision.NEAR_DUPLICATE, "similar to", "_near")


def linked(usable: pl.DataFrame) -> tuple[dict[int, int], dict[int, int]]:
    """Return the row of which each near duplicate is one, and each family's first rank."""
    return at_once.links(usable.select(at_once.TEXTS.names).to_arrow().cast(at_once.TEXTS))


def _without_taught(found: pl.DataFrame) -> pl.DataFrame:
    """Reject the examples of eval whose heading train has."""
    taught = found.filter(pl.col("split") == split.TRAIN).group_by("heading_key").agg(
        _first=pl.col("example_id").min()
    )  # fmt: skip
    marked = found.join(taught, on="heading_key", how="left", maintain_order="left")
    marked = marked.with_columns(_first=pl.when(pl.col("split") == split.EVAL).then("_first"))
    marked = _because(marked, decision.ANSWER_IN_TRAIN, "same heading as", "_first")
    return marked.with_columns(split=pl.when(_NONE).then("split"))
