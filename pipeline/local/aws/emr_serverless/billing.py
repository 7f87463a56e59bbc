"""What EMR Serverless bills for a job run: vCPU, memory and storage hours of its workers.

    utilization("--conf spark.executor.instances=1", 8.3)
    # {"vCPUHour": 0.133, "memoryGBHour": 0.513, "storageGBHour": 0.0}

The duration is measured. The workers are those that the run asks for: here they are this machine's
cores, on EMR Serverless they would be billed.
"""

import itertools
import shlex

from pipeline.configuration import spark_workers


def utilization(submit_parameters: str, seconds: float) -> dict[str, float]:
    """Return `billedResourceUtilization` of a run that took this many seconds."""
    hours = max(seconds, spark_workers.MINIMUM_SECONDS) / 3600
    workers = spark_workers.of(_conf(submit_parameters))
    hourly = {
        "vCPUHour": workers.vcpus,
        "memoryGBHour": workers.memory_gb,
        "storageGBHour": workers.storage_gb,
    }
    return {name: round(amount * hours, 3) for name, amount in hourly.items()}


def _conf(submit_parameters: str) -> dict[str, str]:
    """Return the `--conf name=value` pairs of a spark-submit command line."""
    words = shlex.split(submit_parameters)
    given = (value for word, value in itertools.pairwise(words) if word == "--conf")
    return dict(pair.split("=", 1) for pair in given if "=" in pair)
