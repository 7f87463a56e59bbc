#!/usr/bin/env python
"""Measure what small files cost Prepare: CPU time over many files of one row, over one file with the same rows, and their ratio.

    .venv/bin/python scripts/small-files [--files 620] [--factors 30]

CPU time is that of the whole process, Sail's threads included, for one whole job. A job on another table comes first and is not
counted; each table then takes `--runs` turns, alternately, and the least time of each counts, since others may use the machine.
`--factors 0` gives filings without a section: hardly any text work, so the files themselves are most of what is measured.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "steps" / "prepare")]
os.environ.setdefault("RUST_LOG", "error")

import prepare_fakes as fakes  # noqa: E402
import pyarrow as pa  # noqa: E402 - the path comes first
import pyarrow.parquet as pq  # noqa: E402

from steps.prepare.delta_rs import DeltaRsStore  # noqa: E402
from steps.prepare.job import Job  # noqa: E402


def main() -> int:
    """Write both tables, run the job on each, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--files", type=int, default=620, help="rows, and files of the many (default 620)"
    )
    parser.add_argument(
        "--factors",
        type=int,
        default=30,
        help="risk factors of each filing (default 30, about 16 kB)",
    )
    parser.add_argument("--runs", type=int, default=3, help="jobs per table (default 3)")
    arguments = parser.parse_args()
    rows = [_filing(number, arguments.factors) for number in range(arguments.files)]
    with tempfile.TemporaryDirectory() as temporary:
        folder, spark = Path(temporary), _spark()
        tables = {
            "one": _table(folder / "one", [rows]),
            "many": _table(folder / "many", [[row] for row in rows]),
        }
        _job(spark, _table(folder / "first", [fakes.corpus()]), folder / "out" / "first")
        seconds: dict[str, list[float]] = {name: [] for name in tables}
        for turn in range(arguments.runs):
            for name, location in tables.items():
                began = time.process_time()
                _job(spark, location, folder / "out" / f"{name}{turn}")
                seconds[name].append(time.process_time() - began)
    one, many = min(seconds["one"]), min(seconds["many"])
    print(f"1 file with {len(rows)} rows      {one:7.2f} s of CPU")
    print(f"{len(rows)} files with 1 row     {many:7.2f} s of CPU")
    print(f"ratio                    {many / one:7.2f}")
    return 0


def _filing(number: int, factors: int) -> dict[str, str | None]:
    cik, year = 1001 + number // 10, 2010 + number % 10
    if factors == 0 and number > 40:
        return fakes.filing(cik, year, item_1a=None)
    return fakes.filing(cik, year, item_1a=fakes.section(f"Company {cik}", factors or 4, seed=year))


def _table(location: Path, files: list[list[dict[str, str | None]]]) -> Path:
    """A Delta table of these files, in one commit."""
    (location / "_delta_log").mkdir(parents=True)
    fields = [
        {"name": name, "type": "string", "nullable": True, "metadata": {}}
        for name in fakes.RAW_COLUMNS
    ]
    schema = json.dumps({"type": "struct", "fields": fields})
    actions: list[dict[str, Any]] = [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": {"id": "1", "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
                      "partitionColumns": [], "configuration": {}, "createdTime": 1}},
    ]  # fmt: skip
    for number, rows in enumerate(files):
        path = location / f"part-{number:05}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=fakes.RAW_SCHEMA), path)
        stats = json.dumps({"numRecords": len(rows)})
        actions.append(
            {"add": {"path": path.name, "partitionValues": {}, "size": path.stat().st_size, "modificationTime": 1,
                     "dataChange": True, "stats": stats}}
        )  # fmt: skip
    (location / "_delta_log" / f"{0:020}.json").write_text(
        "\n".join(map(json.dumps, actions)) + "\n"
    )
    return location


def _spark() -> Any:
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer()
    server.start()
    session = SparkSession.builder.remote(
        f"sc://127.0.0.1:{server.listening_address[1]}"
    ).getOrCreate()
    session.server = server  # a client of a collected server waits for ever
    return session


def _job(spark: Any, raw: Path, root: Path) -> None:
    catalog = fakes.FolderCatalog(root)
    catalog.add("edgar.raw.filings", raw)
    Job(fakes.arguments(root), catalog, DeltaRsStore(spark), fakes.MemoryEvidence()).run()  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
