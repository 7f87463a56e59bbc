"""What EMR Serverless bills for a job run: vCPU, memory and storage hours of its workers.

    utilization("--conf spark.executor.instances=1", 8.3)
    # {"vCPUHour": 0.133, "memoryGBHour": 0.533, "storageGBHour": 0.0}

The duration is measured. The workers are those that the run asks for: here they are this machine's
cores, on EMR Serverless they would be billed. A worker is billed for at least one minute, and its
first 20 GB of storage cost nothing [aws.amazon.com/emr/pricing]. Defaults: EMR Serverless' "Spark
job properties".
"""

import itertools
import shlex

_MINIMUM_SECONDS = 60.0
_FREE_STORAGE_GB = 20.0
_UNITS = {"k": 1 / 1024**2, "m": 1 / 1024, "g": 1.0, "t": 1024.0}  # in GB
_DEFAULTS = {
    "spark.driver.cores": "4",
    "spark.driver.memory": "14g",
    "spark.executor.cores": "4",
    "spark.executor.memory": "14g",
    "spark.executor.instances": "3",
    "spark.emr-serverless.driver.disk": "20g",
    "spark.emr-serverless.executor.disk": "20g",
}
_OVERHEAD = 1.1  # spark.driver.memoryOverheadFactor and the executor's, where none is set


def utilization(submit_parameters: str, seconds: float) -> dict[str, float]:
    """Return `billedResourceUtilization` of a run that took this many seconds."""
    hours = max(seconds, _MINIMUM_SECONDS) / 3600
    conf = _DEFAULTS | _conf(submit_parameters)
    cores = memory = storage = 0.0
    for kind, count in (("driver", 1), ("executor", int(conf["spark.executor.instances"]))):
        cores += count * int(conf[f"spark.{kind}.cores"])
        memory += count * _gigabytes(conf[f"spark.{kind}.memory"]) * _OVERHEAD
        disk = _gigabytes(conf[f"spark.emr-serverless.{kind}.disk"])
        storage += count * max(0.0, disk - _FREE_STORAGE_GB)
    hourly = {"vCPUHour": cores, "memoryGBHour": memory, "storageGBHour": storage}
    return {name: round(amount * hours, 3) for name, amount in hourly.items()}


def _conf(submit_parameters: str) -> dict[str, str]:
    """Return the `--conf name=value` pairs of a spark-submit command line."""
    words = shlex.split(submit_parameters)
    given = (value for word, value in itertools.pairwise(words) if word == "--conf")
    return dict(pair.split("=", 1) for pair in given if "=" in pair)


def _gigabytes(size: str) -> float:
    """Return a size such as `14g` in GB; without a unit Spark means MiB."""
    number, unit = size.rstrip("bB"), "m"
    if number[-1].isalpha():
        number, unit = number[:-1], number[-1].lower()
    return float(number) * _UNITS[unit]
