#!/usr/bin/env bash
# An append to a Delta table through Sail writes NULL for a value that the column's type cannot hold.
#
# Spark with Delta refuses an append whose column is wider than the table's, or stops at the first
# value that does not fit (its store assignment policy is ANSI). Sail reports ANSI mode as on, and
# casts such a value without an error: 5,000,000,000 and the text "abc" become NULL in an INT column,
# the row count is right, and the commit succeeds. A loader that was developed on Sail then loses
# values on a laptop that the same code would refuse on a cluster. Even an explicit CAST of the same
# text fails on Sail, as in Spark; only the append is silent.
#
# Observed with pysail 0.7.2, pyspark-client 4.0.4, Python 3.11:
#   ANSI mode: true
#   CAST('abc' AS INT): NumberFormatException
#   rows after appending 5000000000 and 'abc': [None, None, 1]
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pysail==0.7.2 pyspark-client==4.0.4 pyarrow==25.0.1 pandas==3.1.1 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
import sys

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

server = SparkConnectServer()
server.start()
port = server.listening_address[1]
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
table = sys.argv[1]


def append(value, column):
    frame = spark.createDataFrame([(value,)], column)
    frame.write.format("delta").mode("append").save(table)


print("ANSI mode:", spark.conf.get("spark.sql.ansi.enabled"))
try:
    print("CAST('abc' AS INT):", spark.sql("SELECT CAST('abc' AS INT) AS n").collect()[0]["n"])
except Exception as error:
    print("CAST('abc' AS INT):", type(error).__name__)
append(1, "n int")
append(5_000_000_000, "n bigint")
append("abc", "n string")
rows = [row["n"] for row in spark.read.format("delta").load(table).collect()]
print("rows after appending 5000000000 and 'abc':", sorted(rows, key=lambda n: (n is not None, n)))
spark.stop()
server.stop()
PYTHON
export RUST_LOG=error
got=$("$folder/venv/bin/python" "$folder/try.py" "$folder/table")
echo "$got"
[[ "$got" == "ANSI mode: true
CAST('abc' AS INT): NumberFormatException
rows after appending 5000000000 and 'abc': [None, None, 1]" ]]
