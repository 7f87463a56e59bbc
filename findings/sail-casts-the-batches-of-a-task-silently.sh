#!/usr/bin/env bash
# Sail casts what a `mapInArrow` task yields to the declared types: what does not fit becomes NULL.
#
# Spark compares the Arrow schema of a batch with the declared columns and ends the query if they
# differ. Sail casts: 5,000,000,000 and the text "abc" become NULL in a column that was declared INT,
# 1.5 becomes 1, bytes that are not UTF-8 become NULL in a STRING column. A column more than was
# declared is dropped. The same holds for unionByName of INT and STRING: the schema says INT, and the
# rows have text. A kernel whose type changes by mistake so loses values without any sign.
#
# Observed with pysail 0.7.2, pyspark-client 4.0.4, Python 3.11:
#   int64 5000000000 as int     None
#   text abc as int             None
#   double 1.5 as int           1
#   bytes ff as string          None
#   a column more               ['n']
#   union of int and string     struct<n:int> ['1', 'abc']
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pysail==0.7.2 pyspark-client==4.0.4 pyarrow==25.0.1 pandas==3.1.1 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
import pyarrow as pa
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

server = SparkConnectServer()
server.start()
port = server.listening_address[1]
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()


def yielded(columns, ddl):
    def task(batches):
        for _ in batches:
            yield pa.record_batch(list(columns.values()), names=list(columns))

    return spark.range(0, 1, 1, 1).mapInArrow(task, ddl)


def value(array, ddl):
    return yielded({"n": array}, ddl).collect()[0]["n"]


print(f"{'int64 5000000000 as int':<27}", value(pa.array([5_000_000_000]), "n int"))
print(f"{'text abc as int':<27}", value(pa.array(["abc"]), "n int"))
print(f"{'double 1.5 as int':<27}", value(pa.array([1.5]), "n int"))
print(f"{'bytes ff as string':<27}", value(pa.array([b"\xff"]), "n string"))
more = yielded({"n": pa.array(["x"]), "m": pa.array(["y"])}, "n string")
print(f"{'a column more':<27}", list(more.collect()[0].asDict()))
ints = spark.createDataFrame([(1,)], "n int")
both = ints.unionByName(spark.createDataFrame([("abc",)], "n string"))
print(f"{'union of int and string':<27}", both.schema.simpleString(), [r["n"] for r in both.collect()])
spark.stop()
server.stop()
PYTHON
export RUST_LOG=error
got=$("$folder/venv/bin/python" -W ignore "$folder/try.py")
echo "$got"
[[ "$got" == "int64 5000000000 as int     None
text abc as int             None
double 1.5 as int           1
bytes ff as string          None
a column more               ['n']
union of int and string     struct<n:int> ['1', 'abc']" ]]
