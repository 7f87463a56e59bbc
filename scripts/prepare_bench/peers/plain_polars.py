"""Do Prepare's work in one process without Spark, Delta or staged files, and print what it used.

    PYTHONPATH=. python -m scripts.prepare_bench.peers.plain_polars <raw table> <scratch folder>

The same kernels read the same table; what depends on other rows is polars and NumPy over whole
columns. It makes neither commits nor digests of tables, neither a contract nor a manifest.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from steps.prepare.arrow_tasks import bounded
from steps.prepare.delta.raw_rows import as_text
from steps.prepare.filings import judge
from steps.prepare.filings.judge import EXAMPLE, FILING
from steps.prepare.repeats import candidates, components, likeness
from steps.prepare.repeats.likeness import OF_NEAR, SIDE, side
from steps.prepare.repeats.sketch import sketched
from steps.prepare.schemas import EXAMPLES

_EVAL_SHARE = 0.1


def main(raw: Path, scratch: Path) -> None:
    """Run once on a few rows, so that imports do not count; then measure."""
    batches = list(_raw(raw))
    whole(batches[:1], scratch / "first")
    began = time.process_time()
    rows = whole(list(_raw(raw)), scratch)
    seconds = time.process_time() - began
    usable = rows.filter((pl.col("kind") == EXAMPLE) & pl.col("reason").is_null())
    found = {"cpu_seconds": seconds, "examples": len(usable), "minhash_seconds": minhash(usable)}
    print(json.dumps(found))


def _raw(raw: Path) -> list[pa.RecordBatch]:
    table = DeltaTable(str(raw)).to_pyarrow_table()
    names = {name: name for name in table.column_names}
    return list(bounded(as_text(one, table.column_names, names) for one in table.to_batches()))


def whole(batches: list[pa.RecordBatch], folder: Path) -> pl.DataFrame:
    """Judge, reject repeats, split, and write both tables; return the rows."""
    made = pa.Table.from_batches([judge.kernel(batch) for batch in batches], schema=judge.SCHEMA)
    rows = pl.DataFrame(made).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    order = ("filing_date", "source_filing")
    good = pl.col("reason").is_null()
    for key in ("filing_id", "section_sha256"):
        filings = rows.filter((pl.col("kind") == FILING) & good).sort(*order, "filing_key")
        once = filings.unique(key, keep="first", maintain_order=True)["row"]
        rows = rows.filter((pl.col("kind") != FILING) | ~good | pl.col("row").is_in(once.implode()))
    kept = rows.filter((pl.col("kind") == FILING) & good)["filing_key"]
    examples = rows.filter(
        (pl.col("kind") == EXAMPLE) & good & pl.col("filing_key").is_in(kept.implode())
    )
    examples = examples.sort(*order, "example_id").unique("text_sha256", keep="first")
    later = near(examples)
    examples = examples.filter(~pl.col("row").is_in(pl.Series(later).implode()))
    companies = examples["cik"].unique().sort()
    held = companies.head(max(1, int(len(companies) * _EVAL_SHARE)))
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in EXAMPLES.names if name in examples.columns]
    split = pl.when(pl.col("cik").is_in(held.implode())).then(pl.lit("eval"))
    examples.select(*names, split=split.otherwise(pl.lit("train"))).write_parquet(
        folder / "examples.parquet", compression="zstd"
    )
    rejected = rows.filter(~good).select("kind", "cik", "reason", "detail")
    rejected.write_parquet(folder / "rejected.parquet", compression="zstd")
    return rows


def near(examples: pl.DataFrame) -> list[int]:
    """Return the rows that repeat an earlier one: buckets, exact check, components."""
    sketches = examples.select("row", "rank", "bands").to_arrow().cast(_SKETCHES)
    buckets = candidates.exploded(sketches.to_batches())
    pairs = pl.concat(pl.DataFrame(one) for one in candidates.paired(buckets)).unique()
    for end in "ab":
        one = examples.select(pl.col(name).alias(side(name, end)) for name in SIDE)
        pairs = pairs.join(one, left_on=end, right_on=side("row", end), coalesce=False).drop(end)
    ordered = pairs.select(side(name, end) for end in "ab" for name in SIDE)
    edges = list(likeness.compared(ordered.to_arrow().cast(_pairs()).to_batches()))
    found: list[int] = []
    for linked in components.linked(edges):
        here = pl.DataFrame(linked).filter(
            (pl.col("kind") == OF_NEAR) & (pl.col("row") != pl.col("first_row"))
        )
        found += here["row"].to_list()
    return found


_SKETCHES = pa.schema([("row", pa.int64()), ("rank", pa.int64()), ("bands", pa.binary())])


def _pairs() -> pa.Schema:
    kinds: dict[str, Any] = dict.fromkeys(SIDE, pa.int64()) | {"shingles": pa.binary()}
    return pa.schema([(side(name, end), kinds[name]) for end in "ab" for name in SIDE])


def minhash(examples: pl.DataFrame) -> float:
    """Return the CPU seconds of sketches, candidates, exact check and components alone."""
    from steps.prepare.filings.examples import words

    bodies = [text.split("\n\n", 1)[1] for text in examples["prompt"]]
    companies, headings = examples["cik_number"].to_list(), examples["heading_key"].to_list()
    began = time.process_time()
    found = sketched([words(body) for body in bodies], companies, headings)
    again = examples.with_columns(
        pl.Series(name, pl.from_arrow(column)) for name, column in found._asdict().items()
    )
    near(again)
    return time.process_time() - began


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
