"""What the programs read and wrote: the documents of datatrove, and the tables of the others."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from scripts.prepare_bench.corpus import filings
from steps.prepare.arrow_tasks import bounded
from steps.prepare.filings import examination
from steps.prepare.schemas import PARTITION

_FEW = 20  # documents of the warm-up
_TABLES = ("examples", "examples_rejected")

Found = dict[str, Any]


def tables_of(ours: Path, peer: Path) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
    """Return each table twice: as our job wrote it, and as plain polars did."""
    folder = ours / "second" / "curated" / "edgar" / "curated"
    return [(rows(folder / name), pl.read_parquet(peer / f"{name}.parquet")) for name in _TABLES]


def rows(table: Path) -> pl.DataFrame:
    """Return the rows of a table of ours without its partition."""
    return pl.DataFrame(DeltaTable(str(table)).to_pyarrow_table()).drop(PARTITION)


def differences(
    ours: Found, peer: Found, tables: Iterable[tuple[pl.DataFrame, pl.DataFrame]]
) -> list[str]:
    """Return what is not the same: the counts, the contract's numbers, rows of a table."""
    found = [f"THE {name.upper()} DIFFER" for name in ("counts", "checks")
             if ours[name] != peer[name]]  # fmt: skip
    for name, (one, other) in zip(_TABLES, tables, strict=True):
        columns = sorted(one.columns)
        same = columns == sorted(other.columns) and (
            one.select(columns).sort(columns).equals(other.select(columns).sort(columns))
        )
        found += [] if same else [f"THE ROWS OF {name} DIFFER"]
    return found


def documents(folder: Path, count: int) -> None:
    """Write each risk factor's body as a line of JSON: all of them, and a few."""
    bodies = list(_bodies(count))
    for name, some in (("all", bodies), ("few", bodies[:_FEW])):
        (folder / name).mkdir(parents=True)
        with (folder / name / "documents.jsonl").open("w") as file:
            for number, body in enumerate(some):
                file.write(json.dumps({"text": body, "id": str(number)}) + "\n")


def _bodies(count: int) -> Iterable[str]:
    rows = pa.Table.from_pylist(list(filings(count, seed=1)))
    for batch in bounded(rows.to_batches()):
        for factors in examination.examine(batch)["risk_factors"].to_pylist():
            yield from (factor["body"] for factor in factors or ())
