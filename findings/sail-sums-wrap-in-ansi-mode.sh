#!/usr/bin/env bash
# In Sail, integer arithmetic that overflows wraps to a negative number, although ANSI mode is on.
#
# Spark 4 has ANSI mode on by default and ends such a query with ARITHMETIC_OVERFLOW. Sail reports
# the same setting as true. Its addition and its multiplication of columns return a wrapped number,
# and so does the sum of a BIGINT column, so a count of bytes or tokens can become negative without
# any sign of it. A cast that overflows is refused as in Spark.
#
# Observed with pysail 0.7.2, pyspark-client 4.0.4, Python 3.11:
#   ANSI mode              true
#   INT 2147483647 + 1     -2147483648
#   INT 2147483647 * 2     -2
#   sum of two BIGINT      -9223372036854775808
#   CAST to SMALLINT       SparkRuntimeException
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pysail==0.7.2 pyspark-client==4.0.4 pyarrow==25.0.1 pandas==3.1.1 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

server = SparkConnectServer()
server.start()
port = server.listening_address[1]
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()


def shown(name, frame, column):
    try:
        value = frame.select(column.alias("n")).collect()[0]["n"]
    except Exception as error:
        value = type(error).__name__
    print(f"{name:<22} {value}")


ints = spark.createDataFrame([(2**31 - 1,)], "a int")
longs = spark.createDataFrame([(2**63 - 1,), (1,)], "a bigint")
print(f"{'ANSI mode':<22}", spark.conf.get("spark.sql.ansi.enabled"))
shown("INT 2147483647 + 1", ints, F.col("a") + F.lit(1))
shown("INT 2147483647 * 2", ints, F.col("a") * F.lit(2))
shown("sum of two BIGINT", longs, F.sum("a"))
shown("CAST to SMALLINT", ints, F.col("a").cast("smallint"))
spark.stop()
server.stop()
PYTHON
export RUST_LOG=error
got=$("$folder/venv/bin/python" "$folder/try.py")
echo "$got"
[[ "$got" == "ANSI mode              true
INT 2147483647 + 1     -2147483648
INT 2147483647 * 2     -2
sum of two BIGINT      -9223372036854775808
CAST to SMALLINT       SparkRuntimeException" ]]
