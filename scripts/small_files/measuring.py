"""The two tables of the same rows, many files and one, and Prepare's job on each."""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.job import Job
from tests.steps.prepare.support import fakes


def measured(files: int, factors: int, runs: int) -> str:
    """Write both tables, run the job on each, return the times."""
    os.environ.setdefault("RUST_LOG", "error")  # before Sail starts
    rows = [_filing(number, factors) for number in range(files)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spark, _server = _spark()  # the client of a collected server would never return
        tables = {
            "one": _table(folder / "one", [rows]),
            "many": _table(folder / "many", [[row] for row in rows]),
        }
        _job(spark, _table(folder / "first", [fakes.corpus()]), folder / "out" / "first")
        seconds: dict[str, list[float]] = {name: [] for name in tables}
        for run in range(runs):
            for name, location in tables.items():
                began = time.process_time()
                _job(spark, location, folder / "out" / f"{name}{run}")
                seconds[name].append(time.process_time() - began)
        spark.stop()  # its threads end while the server still answers
    return summary(len(rows), seconds["one"], seconds["many"])


def summary(rows: int, one: list[float], many: list[float]) -> str:
    """Return the least CPU seconds of both tables and their ratio."""
    return "\n".join(
        [
            f"1 file with {rows} rows      {min(one):7.2f} s of CPU",
            f"{rows} files with 1 row     {min(many):7.2f} s of CPU",
            f"ratio                    {min(many) / min(one):7.2f}",
        ]
    )


def _filing(number: int, factors: int) -> dict[str, str | None]:
    """Return one raw row; without `factors` only the first 41 filings have a section."""
    cik, year = 1001 + number // 10, 2010 + number % 10
    if factors == 0 and number > 40:
        return fakes.filing(cik, year, item_1a=None)
    return fakes.filing(cik, year, item_1a=fakes.section(f"Company {cik}", factors or 4, seed=year))


def _table(location: Path, files: list[list[dict[str, str | None]]]) -> Path:
    """Write a Delta table of these files in one commit."""
    (location / "_delta_log").mkdir(parents=True)
    fields = [
        {"name": name, "type": "string", "nullable": True, "metadata": {}}
        for name in fakes.RAW_COLUMNS
    ]
    metadata = {
        "id": "1",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {},
        "createdTime": 1,
    }
    actions: list[dict[str, Any]] = [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": metadata},
        *(_added_file(location, number, rows) for number, rows in enumerate(files)),
    ]
    (location / "_delta_log" / f"{0:020}.json").write_text(
        "\n".join(map(json.dumps, actions)) + "\n"
    )
    return location


def _added_file(location: Path, number: int, rows: list[dict[str, str | None]]) -> dict[str, Any]:
    """Write one Parquet file and return its action of the Delta log."""
    path = location / f"part-{number:05}.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=fakes.RAW_SCHEMA), path)
    added = {
        "path": path.name,
        "partitionValues": {},
        "size": path.stat().st_size,
        "modificationTime": 1,
        "dataChange": True,
        "stats": json.dumps({"numRecords": len(rows)}),
    }
    return {"add": added}


def _spark() -> tuple[Any, Any]:
    """Start Sail in this process; return a Spark session on it, and the server."""
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer()
    server.start()
    address = f"sc://127.0.0.1:{server.listening_address[1]}"
    return SparkSession.builder.remote(address).getOrCreate(), server


def _job(spark: Any, raw: Path, root: Path) -> None:
    catalog = fakes.FolderCatalog(root)
    catalog.add("edgar.raw.filings", raw)
    store, evidence = DeltaRsStore(spark), fakes.MemoryEvidence()
    Job(fakes.arguments(root), catalog, store, evidence).run()  # type: ignore[arg-type]
