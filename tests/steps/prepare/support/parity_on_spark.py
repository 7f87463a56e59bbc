"""The job on real Spark 4.0 and Delta 4.0 classes, for `test_parity.py`.

Runs in build/spark-venv (scripts/spark-venv).

    python parity_on_spark.py <folder> <filings.jsonl | ->

Writes found.json: the manifest and all rows by Spark's own Delta, decided by plans (`connector`)
and in a task (`connector, few rows`), and by our adapter on the JVM (`delta-rs`); and what the
connector answers to a table without rows (`empty`).
"""

import importlib.resources
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edited  # as a script, this file's folder is on the path
import fakes
from deltalake import DeltaTable

from steps.governance.errors import GovernanceError
from steps.governance.names import UcName
from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.delta.store import DeltaStore
from steps.prepare.delta.unity_connector import ConnectorStore
from steps.prepare.job import Job
from steps.prepare.verdict import few

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The JVM runs for minutes: the first compiler only, and a single-threaded collector,
# take half of the CPU time of the defaults.
_FAST_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_SERVICE = "META-INF/services/org.apache.spark.sql.sources.DataSourceRegister"

# Spark generates and compiles Java code for each query: a third of the CPU time of a script whose
# tables have two rows. The job below is slower with these settings. `make test-long` has Spark's
# defaults.
_INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}


def session(folder: Path) -> "SparkSession":
    """Start classic Spark with the jsoniq wheel's Delta classes; add the missing service entry."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    shim = folder / "delta-service.jar"
    with zipfile.ZipFile(shim, "w") as jar:
        jar.writestr(_SERVICE, "org.apache.spark.sql.delta.sources.DeltaDataSource\n")
    delta = importlib.resources.files("jsoniq.jars").joinpath("rumbledb-3.0.0.jar")
    builder = SparkSession.builder.master("local[2]").appName("parity")
    for key, value in {
        "spark.jars": f"{delta},{shim}",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.driver.extraJavaOptions": _FAST_START,
    }.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def interpret(spark: "SparkSession") -> None:
    """Interpret expressions from now on."""
    for key, value in _INTERPRETED.items():
        spark.conf.set(key, value)


def run(
    folder: Path, rows: list[dict[str, str | None]], store: DeltaStore, catalog_name: str
) -> dict[str, Any]:
    """Run the job in `folder`; return its manifest and rows.

    The connector repeats it, which must change nothing (the other adapter does so on Sail).
    """
    catalog, evidence = fakes.FolderCatalog(folder), fakes.MemoryEvidence()
    catalog.schemas.add(f"{catalog_name}.curated")
    catalog.add(f"{catalog_name}.raw.filings", fakes.raw_table(folder / "raw", rows))
    names = {
        "raw_table": UcName.parse(f"{catalog_name}.raw.filings"),
        "curated_table": UcName.parse(f"{catalog_name}.curated.examples"),
    }
    times = 1
    if isinstance(store, ConnectorStore):
        times = 2
        spark = store._spark
        for schema in ("raw", "curated"):
            spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            spark.sql(f"CREATE SCHEMA {schema}")
        spark.sql(
            f"CREATE TABLE {catalog_name}.raw.filings USING delta LOCATION '{folder / 'raw'}'"
        )
    names |= {"tasks": edited.MIX, "contract": edited.ANY}
    prepared = [
        Job(fakes.arguments(folder, **names), catalog, store, evidence).run() for _ in range(times)
    ]
    assert prepared[0] == prepared[-1], "a repeated run reported something else"
    tables = {
        name: DeltaTable(str(folder / "curated" / catalog_name / "curated" / name))
        for name in ("examples", "examples_rejected")
    }
    return {
        "manifest": json.loads(prepared[0].to_bytes()),
        "commits": [table.history(1)[0].get("userMetadata") for table in tables.values()],
        "rows": {name: table.to_pyarrow_table().to_pylist() for name, table in tables.items()},
    }


def main(folder: Path, filings: str) -> None:
    """Run both adapters on the same rows."""
    rows = (
        [*fakes.corpus(), *edited.two_years()]
        if filings == "-"
        else fakes.real_filings(Path(filings))
    )
    spark = session(folder)
    found: dict[str, Any] = {}
    most = few.MOST
    connector = ConnectorStore(spark)
    for engine, store, name in (
        ("connector", connector, "spark_catalog"),
        ("connector, few rows", connector, "spark_catalog"),
        ("delta-rs", DeltaRsStore(spark), "edgar"),
    ):
        (folder / engine).mkdir()
        few.MOST = -1 if engine == "connector" else most  # decided by Spark's plans, or in a task
        found[engine] = run(folder / engine, rows, store, name)
    (folder / "empty").mkdir()
    try:
        run(folder / "empty", [], connector, "spark_catalog")
    except GovernanceError as error:
        found["empty"] = str(error)
    spark.stop()
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
