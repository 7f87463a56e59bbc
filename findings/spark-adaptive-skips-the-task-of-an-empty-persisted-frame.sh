#!/usr/bin/env bash
# Spark's adaptive execution does not run a `mapInArrow` task over an empty frame that is persisted.
#
# A task that counts its rows yields one row, also for no rows: Spark runs it with an empty input.
# If the frame is persisted and was found empty, adaptive execution (the default) takes the whole
# branch for empty and leaves the task out, so the count has no row. Without `persist`, or with
# adaptive execution off, the same query gives 0. The optimizer may assume so for a filter or a join,
# but a task of Python can make rows of none. `first()` or unpacking of the result then fails, only
# for empty tables and only where a frame is persisted.
#
# Needs Java 17. Observed with pyspark 4.0.3, pyarrow 25.0.1, Python 3.11, Java 17:
#   adaptive  plain [0]  persisted []
#   not adaptive  plain [0]  persisted [0]
#   with 3 rows  plain [3]  persisted [3]
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pyspark==4.0.3 pyarrow==25.0.1 pandas==3.1.1 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
import os
import sys

os.environ["PYSPARK_PYTHON"] = sys.executable
import pyarrow as pa
import pyspark
from pyspark.sql import SparkSession

builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
for name in ("bindAddress", "host"):
    builder = builder.config(f"spark.driver.{name}", "127.0.0.1")
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("OFF")


def count(batches):
    yield pa.record_batch([pa.array([sum(batch.num_rows for batch in batches)])], names=["rows"])


def counted(rows, *, adaptive, persist):
    spark.conf.set("spark.sql.adaptive.enabled", adaptive)
    frame = spark.range(5).where(f"id < {rows}")
    if persist:
        frame = frame.persist()
    made = frame.repartition(1).mapInArrow(count, "rows bigint").collect()
    frame.unpersist()
    return [row["rows"] for row in made]


print("pyspark", pyspark.__version__, "pyarrow", pa.__version__)
found = []
for label, rows, adaptive in (
    ("adaptive", 0, True),
    ("not adaptive", 0, False),
    ("with 3 rows", 3, True),
):
    plain, persisted = (counted(rows, adaptive=adaptive, persist=each) for each in (False, True))
    found.append((plain, persisted))
    print(f"{label}  plain {plain}  persisted {persisted}")
spark.stop()
sys.exit(found != [([0], []), ([0], [0]), ([3], [3])])
PYTHON
"$folder/venv/bin/python" "$folder/try.py" 2> /dev/null
