"""Run the `*_on_spark.py` scripts one after the other in one process, on one JVM.

    python spark_process.py         in build/spark-venv; then one JSON line per script on stdin

    ["declared_on_spark", "<folder>", "kinds"]      answer: {"error": null}, or its traceback

A start of Spark and the first use of each of its classes take half a minute of CPU. Each script has
its own Spark context, so tables and settings of one do not reach the next.
"""

import importlib
import json
import os
import sys
import traceback
from pathlib import Path

from pyspark.sql import SparkSession


def run(script: str, folder: str, *arguments: str) -> str | None:
    """Run the script's `main` in this folder; return its traceback if it failed."""
    os.chdir(folder)
    try:
        importlib.import_module(script).main(Path(folder), *arguments)
    except BaseException:  # noqa: BLE001 - the test gets it
        return traceback.format_exc()
    finally:
        if (left := SparkSession.getActiveSession()) is not None:
            left.stop()
    return None


def main() -> None:
    """Answer each line until stdin ends. What scripts print goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr
    sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
    for line in sys.stdin:
        answers.write(json.dumps({"error": run(*json.loads(line))}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
