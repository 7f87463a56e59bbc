"""Create the tables of `declared_tables` with real Spark 4.0 and Delta 4.0, and try both engines.

    python declared_on_spark.py <folder> kinds|all      in build/spark-venv

`delta/test_declared.py` starts it. `<folder>/made` keeps the tables as Spark created them.
`<folder>/found.json` has each engine's answer for each table: the rows that Spark then reads, or
the refusal's `what` and `got`.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import declared_answers  # as a script, this file's folder is on the path
import declared_tables
import parity_on_spark

from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.delta.unity_connector import ConnectorStore

Table = declared_tables.Target | declared_tables.Raw


def make(spark: Any, made: Path, tables: Sequence[Table]) -> None:
    """Create the tables; then delete files of one and log entries of another."""
    spark.sql(f"CREATE SCHEMA {declared_tables.SCHEMA}")
    for table in tables:
        if table.name != "clone":
            for statement in table.statements(str(location(made, table))):
                spark.sql(statement)
    for removed in (made / "raw_vacuumed").glob("*.parquet"):
        live = {
            Path(uri).name
            for uri in spark.table(f"{declared_tables.SCHEMA}.raw_vacuumed").inputFiles()
        }
        if removed.name not in live:
            removed.unlink()
    for version in (0, 1):
        (made / "raw_cleaned" / "_delta_log" / f"{version:020}.json").unlink()
    clone = f"{declared_tables.SCHEMA}.raw_clone SHALLOW CLONE {declared_tables.SCHEMA}.raw_plain"
    spark.sql(f"CREATE TABLE {clone} LOCATION '{made / 'raw_clone'}'")


def location(folder: Path, table: Table) -> Path:
    """Return the folder of a table."""
    return folder / (
        table.name if isinstance(table, declared_tables.Target) else f"raw_{table.name}"
    )


def main(folder: Path, which: str) -> None:
    """Create the tables, keep a copy, append to the targets and read the raw tables."""
    targets, raws = declared_tables.chosen(which)
    spark = parity_on_spark.session(folder)
    if which == "kinds":
        parity_on_spark.interpret(spark)
    spark.sparkContext.setLogLevel("OFF")
    work = folder / "work"
    make(spark, work, [*targets, *raws])
    shutil.copytree(work, folder / "made")
    stores = {"delta-rs": DeltaRsStore(spark), "unity-connector": ConnectorStore(spark)}
    found: dict[str, Any] = {"targets": {}, "raws": {}, "rows": {}}
    for target in targets:
        at = location(work, target)
        found["targets"][target.name] = {
            engine: declared_answers.appended(store, spark, target, at, engine=engine)
            for engine, store in stores.items()
        }
        rows = spark.read.format("delta").load(str(at)).collect()
        found["rows"][target.name] = sorted(row["execution_id"] for row in rows)
    for raw in raws:
        found["raws"][raw.name] = {
            engine: declared_answers.read(store, raw, location(work, raw))
            for engine, store in stores.items()
        }
    (folder / "found.json").write_text(json.dumps(found))
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
