"""Do Prepare's work by the same rules in one process with polars, and print what it used.

    PYTHONPATH=. python -m scripts.prepare_bench.peers.plain_polars <raw table> <scratch folder>

The same kernels read the same table; everything that depends on other rows is polars and NumPy
over whole columns (`polars_rules`, `polars_figures`). It writes the rows of both tables that
Prepare writes, as one Parquet file each, and has the same counts and contract's numbers: the bench
fails where they differ. What it has not: Spark, commits and their reading back, hashes of the raw
files, staged files, digests of the tables' rows, a manifest, and a bound of its memory.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from scripts.prepare_bench.peers import polars_rules
from scripts.prepare_bench.peers.polars_figures import figures
from steps.prepare.arrow_tasks import bounded
from steps.prepare.delta.raw_rows import as_text
from steps.prepare.filings import judge
from steps.prepare.repeats.sketch import sketched
from steps.prepare.repeats.words import words
from steps.prepare.schemas import EXAMPLES, PARTITION

FRACTION, SEED = 0.25, 17  # of the job that the bench runs (tests' `fakes.arguments`)


def main(raw: Path, scratch: Path) -> None:
    """Run once on a few rows, so that imports do not count; then measure."""
    whole(raw, scratch / "first", most=4)
    began = time.process_time()
    made, found = whole(raw, scratch)
    seconds = time.process_time() - began
    usable = made.examples.filter(made.examples["reason"].is_null())
    print(json.dumps({"cpu_seconds": seconds, "minhash_seconds": minhash(usable), **found}))


def whole(
    raw: Path, folder: Path, *, most: int | None = None
) -> tuple[polars_rules.Decided, dict[str, Any]]:
    """Read, judge, decide, count, and write both tables."""
    judged = [judge.kernel(batch) for batch in _raw(raw, most)]
    table = pa.Table.from_batches(judged, schema=judge.SCHEMA)
    rows = pl.DataFrame(table).with_row_index("row")
    made = polars_rules.decided(rows, fraction=FRACTION, seed=SEED)
    found = figures(made)
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in EXAMPLES.names if name != PARTITION]
    for name, written in (
        ("examples", made.kept.select(names)),
        ("examples_rejected", made.dropped),
    ):
        written.write_parquet(folder / f"{name}.parquet", compression="zstd")
    return made, found


def _raw(raw: Path, most: int | None) -> list[pa.RecordBatch]:
    table = DeltaTable(str(raw)).to_pyarrow_table()
    names = {name: name for name in table.column_names}
    some = table.slice(0, most).to_batches()
    return list(bounded(as_text(one, table.column_names, names) for one in some))


def minhash(examples: pl.DataFrame) -> float:
    """Return the CPU seconds of sketches, candidates, exact check and components alone."""
    bodies = [text.split("\n\n", 1)[1] for text in examples["prompt"]]
    companies, headings = examples["cik_number"].to_list(), examples["heading_key"].to_list()
    began = time.process_time()
    found = sketched([words(body) for body in bodies], companies, headings)
    again = examples.with_columns(
        pl.Series(name, pl.from_arrow(column)) for name, column in found._asdict().items()
    )
    polars_rules.linked(again)
    return time.process_time() - began


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
