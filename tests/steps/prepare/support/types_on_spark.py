"""Typed raw tables on real Spark 4.0 and Delta 4.0, for `test_types_on_spark.py`.

    python types_on_spark.py <folder> kinds|all      in build/spark-venv

`<folder>/tables.json` is {name: {"columns": {name: type}, "rows": [{name: text}]}}. Spark's own
Delta writes each table to `<folder>/<name>`, and both adapters read it. `<folder>/found.json` is
{name: {engine: types, "rows": {engine: rows}}}.
"""

import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steps.governance.names import UcName
from steps.governance.unity_catalog.credentials import Access, Credential, utc_now
from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.delta.store import DeltaStore, Place
from steps.prepare.delta.unity_connector import ConnectorStore
from steps.prepare.filings import examination
from steps.prepare.filings.columns import chosen

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHOWN = [
    "cik",
    "sic",
    "company",
    "filing_date",
    "year",
    "source_filing",
    "filing_id",
    "detail",
    "ignored",
]


def judged(store: DeltaStore, place: Place, version: int) -> list[dict[str, Any]]:
    """Return the examined filings of a table, ordered by file name."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    names = chosen(store.columns(place, version), table=str(place.name), version=version).names
    rows = store.read(place, version, names).select(
        *(F.col(name).alias(name.lower()) for name in names)
    )
    found = [
        one
        for batch in rows.toArrow().to_batches()
        for one in examination.examine(batch).select(SHOWN).to_pylist()
    ]
    return sorted(found, key=lambda row: str(row["source_filing"]))


def placed(name: str, location: Path) -> Place:
    """Return the place of a table in a folder."""
    now = utc_now()
    access = Access(
        str(location), lambda: Credential("key", "secret", "token", now, now + timedelta(hours=1))
    )
    return Place(UcName.parse(f"spark_catalog.raw.{name}"), str(location), access, None)


def write(spark: "SparkSession", name: str, location: Path, table: dict[str, Any]) -> None:
    """Create the table by Spark SQL, insert its rows, and run its further statements."""
    columns = table["columns"]
    typed = ", ".join(f"`{column}` {kind}" for column, kind in columns.items())
    partitioned = f"PARTITIONED BY ({table['partition']})" if table.get("partition") else ""
    properties = ", ".join(
        f"'{key}' = '{value}'" for key, value in table.get("properties", {}).items()
    )
    spark.sql(
        f"CREATE TABLE raw.{name} ({typed}) USING delta {partitioned} LOCATION '{location}' "
        + (f"TBLPROPERTIES ({properties})" if properties else "")
    )
    if rows := table["rows"]:
        values = [[row.get(column) for column in columns] for row in rows]
        texts = spark.createDataFrame(values, ", ".join(f"`{column}` string" for column in columns))
        kinds = {
            column: re.sub(r"(VAR)?CHAR\(.*", "STRING", kind) for column, kind in columns.items()
        }
        casts = [f"CAST(`{column}` AS {kind}) AS `{column}`" for column, kind in kinds.items()]
        texts.coalesce(1).selectExpr(*casts).write.format("delta").mode("append").saveAsTable(
            f"raw.{name}"
        )
    for statement in table.get("then", []):
        spark.sql(statement.format(table=f"raw.{name}"))


def main(folder: Path, which: str) -> None:
    """Write each table, read it with both adapters, and write `found.json`."""
    from parity_on_spark import interpret, session  # as a script, this file's folder is on the path

    spark = session(folder)
    if which == "kinds":
        interpret(spark)
    spark.sql("CREATE SCHEMA IF NOT EXISTS raw")
    found: dict[str, Any] = {}
    for name, table in json.loads((folder / "tables.json").read_text()).items():
        place = placed(name, folder / name)
        write(spark, name, folder / name, table)
        connector, delta_rs = ConnectorStore(spark), DeltaRsStore(spark)
        found[name] = {
            "connector": connector.columns(place, 0),
            "delta-rs": delta_rs.columns(place, 0),
        }
        if table["rows"]:
            found[name]["rows"] = {
                "connector": judged(connector, place, connector.resolve_version(place, -1)),
                "delta-rs": judged(delta_rs, place, delta_rs.resolve_version(place, -1)),
            }
    spark.stop()
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
