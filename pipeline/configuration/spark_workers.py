"""The workers of a Spark application on EMR Serverless, by its `spark-submit --conf` pairs.

    of({"spark.executor.instances": "1"})    # Workers(vcpus=8, memory_gb=30.8, storage_gb=0.0)

A worker's first 20 GB of storage cost nothing, and each is billed for at least one minute
[aws.amazon.com/emr/pricing]. Defaults: EMR Serverless' "Spark job properties".
"""

from collections.abc import Mapping
from dataclasses import dataclass

MINIMUM_SECONDS = 60.0
DEFAULTS = {
    "spark.driver.cores": "4",
    "spark.driver.memory": "14g",
    "spark.executor.cores": "4",
    "spark.executor.memory": "14g",
    "spark.executor.instances": "3",
    "spark.emr-serverless.driver.disk": "20g",
    "spark.emr-serverless.executor.disk": "20g",
}
_FREE_STORAGE_GB = 20.0
_UNITS = {"k": 1 / 1024**2, "m": 1 / 1024, "g": 1.0, "t": 1024.0}  # in GB
_OVERHEAD = 1.1  # spark.driver.memoryOverheadFactor and the executor's, where none is set


@dataclass(frozen=True)
class Workers:
    """What driver and executors have together and are billed for, each hour that they run."""

    vcpus: int
    memory_gb: float
    storage_gb: float  # beyond what costs nothing


def of(conf: Mapping[str, str]) -> Workers:
    """Return the driver and the executors that these pairs ask for."""
    asked = {**DEFAULTS, **conf}
    vcpus, memory, storage = 0, 0.0, 0.0
    for kind, count in (("driver", 1), ("executor", int(asked["spark.executor.instances"]))):
        vcpus += count * int(asked[f"spark.{kind}.cores"])
        memory += count * _gigabytes(asked[f"spark.{kind}.memory"]) * _OVERHEAD
        disk = _gigabytes(asked[f"spark.emr-serverless.{kind}.disk"])
        storage += count * max(0.0, disk - _FREE_STORAGE_GB)
    return Workers(vcpus, memory, storage)


def _gigabytes(size: str) -> float:
    """Return a size such as `14g` in GB; without a unit Spark means MiB."""
    number, unit = size.rstrip("bB"), "m"
    if number[-1].isalpha():
        number, unit = number[:-1], number[-1].lower()
    return float(number) * _UNITS[unit]
