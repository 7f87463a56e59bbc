"""The Spark session and its faults.

The environment chooses the Spark (SPARK_REMOTE, spark-submit), never this code.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from steps.governance.errors import GovernanceError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Of an action on an engine that runs all of them at once, and each holds some MB.
_MOST_AT_ONCE = 2 * (os.cpu_count() or 1)
_NAMES_AN_ERROR = re.compile(r"[\w.]*(?:Error|Exception|Invalid|Refused)\b:? ")
_CAUSED_BY = re.compile(r"^(?:Caused by)?: ")  # as Java begins the lines of its causes
_MOST_CHARACTERS = 300
# Spark quotes the value that it cannot cast, which is governed text.
_VALUE = re.compile(r"(\bvalue ')[^']*(')", re.IGNORECASE)


def start() -> "SparkSession":
    """Return the session of the Spark that this process runs on."""
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName("governed-finetune-prepare").getOrCreate()


def stop(spark: "SparkSession") -> None:
    """Stop classic Spark, so that its JVM ends before the process; otherwise this may abort.

    A Connect session ends by itself.
    """
    from pyspark.sql.utils import is_remote

    if not is_remote():
        spark.stop()


def at_most(tasks: int) -> int:
    """Return the number of tasks of an action: bounded where the engine runs all at once.

    Sail does, and is behind Spark Connect; a cluster runs as many as it has cores.
    """
    from pyspark.sql.utils import is_remote

    return min(tasks, _MOST_AT_ONCE) if is_remote() else tasks


def engine_faults() -> tuple[type[Exception], ...]:
    """Return the exception classes of a failed Spark action.

    pyspark has classes for the faults it knows. Any other fault of a classic Spark's JVM comes as
    py4j's own exception, and a Spark Connect client has no py4j. So py4j is looked up among the
    modules that are loaded, never imported.
    """
    from pyspark.errors import PySparkException

    py4j = sys.modules.get("py4j.protocol")
    return (PySparkException,) if py4j is None else (PySparkException, py4j.Py4JError)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Run one Spark action.

    A fault of the engine or of a task is raised as one sentence, not as two stack traces.
    """
    try:
        yield
    except engine_faults() as error:
        raise GovernanceError(
            f"Spark failed to {doing}",
            expected="an action without a fault",
            got=reason(str(error)),
            do="see the job's log",
        ) from error


def reason(text: str) -> str:
    """Return the line of an engine's message with the cause.

    It is the last line that names an error, or else the last line that is not empty.
    """
    lines = [
        _CAUSED_BY.sub("", line.strip())
        for line in text.split("JVM stacktrace")[0].splitlines()
        if line.strip()
    ]
    named = [line for line in lines if _NAMES_AN_ERROR.match(line)]
    texts = [line for line in lines if not line.startswith("at ")]
    cause = (named or texts or ["no message"])[-1]
    return _VALUE.sub(r"\1…\2", cause)[:_MOST_CHARACTERS]
