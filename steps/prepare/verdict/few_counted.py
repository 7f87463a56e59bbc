"""What is counted of few final rows, in one task: groups with digests, families, words, overlap.

    numbers = counted(rows)      # rows with `few.KEPT` -> Numbers, by one action

The same numbers as those of `counted`, where each needs an action and a plan with
shuffles. The tests hold them equal, digests included.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from steps.prepare.arrow_tasks import map_in_arrow
from steps.prepare.filings import groups, measures, vocabulary
from steps.prepare.filings.groups import Group
from steps.prepare.filings.judge import EXAMPLE, GIVEN, NULL, SEPARATOR
from steps.prepare.filings.split import EVAL, TRAIN
from steps.prepare.repeats import overlap
from steps.prepare.schemas import REJECTED
from steps.prepare.task_mix import COMPARE
from steps.prepare.verdict.few import KEPT
from steps.prepare.verdict.numbers import Numbers
from steps.prepare.verdict.surveyed import DETAILED, IDENTITY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_FOUND = pa.schema([("numbers", pa.string())])
_KEPT = (pl.col("kind") == EXAMPLE) & pl.col("reason").is_null()
_STYLES = tuple(measures.STYLES.values())


def counted(rows: "DataFrame") -> Numbers:
    """Count final rows with `few.KEPT`."""

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = pa.Table.from_batches(
            [batch.select(KEPT.names).cast(KEPT) for batch in batches], schema=KEPT
        )
        text = json.dumps(asdict(of_rows(pl.DataFrame(table))))
        yield pa.record_batch([pa.array([text])], schema=_FOUND)

    one = rows.select(*KEPT.names).repartition(1)
    texts = map_in_arrow(one, count, _FOUND).collect()
    if not texts:  # findings/spark-adaptive-skips-the-task-of-an-empty-persisted-frame.sh
        return of_rows(pl.DataFrame(KEPT.empty_table()))
    found: dict[str, Any] = json.loads(texts[0]["numbers"])
    made = (Group(**each | {"filings": tuple(each["filings"])}) for each in found["groups"])
    sizes = {int(size): number for size, number in found["family_sizes"].items()}
    return Numbers(**found | {"groups": tuple(made), "family_sizes": sizes})


def of_rows(rows: pl.DataFrame) -> Numbers:
    """Count rows with `few.KEPT`."""
    kept = rows.filter(_KEPT)
    template = pl.when(pl.col("compares") == 1).then(pl.lit(COMPARE)).otherwise("template")
    sides = (kept.filter(split=side)["grams"].drop_nulls() for side in (EVAL, TRAIN))
    return Numbers(
        _groups(rows),
        dict(Counter(kept["family_id"].value_counts()["count"].to_list())),
        dict(Counter(kept.select(template.alias("template")).to_series())),
        vocabulary.summed(rows[vocabulary.NAME].drop_nulls()),
        overlap.of_texts(*sides),
    )


def _groups(rows: pl.DataFrame) -> tuple[Group, ...]:
    texts = [pl.col(name).fill_null(NULL) for name in REJECTED.names if name not in GIVEN]
    marked = rows.select(
        *("kind", "cik", "reason", "split", "year", *measures.MEASURES),
        *(pl.when(_KEPT).then(name).alias(name) for name in IDENTITY),
        remark=pl.when(pl.col("reason").is_in(DETAILED))
        .then("detail")
        .otherwise(pl.when(pl.col("reason").is_null()).then("ignored")),
        print=pl.when(_KEPT)
        .then(pl.concat_str("fingerprint", "family_id", separator=SEPARATOR))
        .otherwise(pl.concat_str(texts, separator=SEPARATOR)),
    )
    prints = pl.Series([sha256(text.encode()).hexdigest() for text in marked["print"]])
    marked = marked.with_columns(print=prints).with_columns(
        share=pl.when(pl.col("filing_id").is_null()).then(pl.col("print").str.head(2))
    )
    sums = (pl.col(name).cast(pl.Int64).sum() for name in measures.MEASURES)
    filings = marked.group_by(*groups.KEY, *IDENTITY, "share").agg(
        pl.len().alias("rows"), pl.col("print"), pl.col("year").max(), *sums
    )
    found = defaultdict[tuple[str | None, ...], list[dict[str, Any]]](list)
    for filing in filings.iter_rows(named=True):
        found[tuple(filing[name] for name in groups.KEY)].append(filing)
    keys = (dict(zip(groups.KEY, key, strict=True)) for key in found)
    return tuple(map(_group, keys, found.values()))


def _group(key: dict[str, Any], filings: list[dict[str, Any]]) -> Group:
    styles = ",".join(str(sum(each[name] for each in filings)) for name in _STYLES)
    return Group(
        **key,
        rows=sum(each["rows"] for each in filings),
        sha256=_digest(_digest(each["print"]) for each in filings),
        filings=tuple(sorted(_member(each) for each in filings if each["filing_id"] is not None)),
        styles=styles if key["kind"] == EXAMPLE else "",
    )


def _member(filing: dict[str, Any]) -> str:
    numbers = (filing[name] or 0 for name in ("rows", "year", *measures.MEASURES))
    return groups.SEPARATOR.join((*(filing[name] for name in IDENTITY), *map(str, numbers)))


def _digest(prints: Iterable[str]) -> str:
    """sha256 of all digests of a group, in order."""
    return sha256("".join(sorted(prints)).encode()).hexdigest()
