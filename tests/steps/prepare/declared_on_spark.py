"""Real Spark 4.0 and Delta 4.0 make the tables of `declared_tables`; both engines then append to them and read them.

    python declared_on_spark.py <folder>          in build/spark-venv (scripts/spark-venv), started by test_prepare_declared.py

`<folder>/made` keeps the tables as Spark made them. `<folder>/found.json` has each engine's answer for each table: the rows that
Spark then reads, or the refusal's `what` and `got`.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import declared_answers  # as a script, this file's folder is on the path
import declared_tables
import parity_on_spark

from steps.prepare.delta_rs import DeltaRsStore
from steps.prepare.unity_connector import ConnectorStore


def make(spark: Any, made: Path) -> None:
    """All tables, as Spark makes them; then what time does to two of them."""
    spark.sql(f"CREATE SCHEMA {declared_tables.SCHEMA}")
    for table in (*declared_tables.TARGETS, *declared_tables.RAWS):
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


def location(folder: Path, table: declared_tables.Target | declared_tables.Raw) -> Path:
    """Where a table lies."""
    return folder / (
        table.name if isinstance(table, declared_tables.Target) else f"raw_{table.name}"
    )


def main(folder: Path) -> None:
    """Make, keep, append and read."""
    spark = parity_on_spark.session(folder)
    spark.sparkContext.setLogLevel("OFF")
    work = folder / "work"
    make(spark, work)
    shutil.copytree(work, folder / "made")
    stores = {"delta-rs": DeltaRsStore(spark), "unity-connector": ConnectorStore(spark)}
    found: dict[str, Any] = {"targets": {}, "raws": {}, "rows": {}}
    for target in declared_tables.TARGETS:
        at = location(work, target)
        found["targets"][target.name] = {
            engine: declared_answers.appended(store, spark, target, at, engine=engine)
            for engine, store in stores.items()
        }
        rows = spark.read.format("delta").load(str(at)).collect()
        found["rows"][target.name] = sorted(row["execution_id"] for row in rows)
    for raw in declared_tables.RAWS:
        found["raws"][raw.name] = {
            engine: declared_answers.read(store, raw, location(work, raw))
            for engine, store in stores.items()
        }
    (folder / "found.json").write_text(json.dumps(found))
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
