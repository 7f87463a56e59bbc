"""A driver's allocators give memory back, and do not ask for each column's again."""

import json
import os
import subprocess
import sys

from pipeline.local.aws.emr_serverless.driver_run import SAIL_ENVIRONMENT

# Page faults of 200 columns of 1 MiB, one after another; then what stays of 64 MiB in large ones.
_PROGRAM = """
import ctypes, json, os, resource
import pyarrow as pa
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
def column(size=1 << 20):
    memory = pa.allocate_buffer(size)
    ctypes.memset(memory.address, 1, memory.size)
    return memory
column()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    column()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = resident()
held = [column(8 << 20) for _ in range(8)]
most = resident()
del held
print(json.dumps([faults, most - first, resident() - first]))
"""


def seen(allocation: dict[str, str]) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=os.environ | allocation,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: list[int] = json.loads(done.stdout)
    return found


def test_memory_of_columns_is_used_again_and_that_of_large_ones_given_back() -> None:
    pages_of_all = 200 * (1 << 20) // os.sysconf("SC_PAGE_SIZE")
    faults, held, left = seen(SAIL_ENVIRONMENT)
    assert faults < pages_of_all / 10
    assert held > 60 << 20
    assert left < 20 << 20


def test_a_trim_threshold_alone_maps_each_column_again() -> None:
    alone = {name: value for name, value in SAIL_ENVIRONMENT.items() if "MMAP" not in name}
    pages_of_all = 200 * (1 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert seen(alone)[0] > pages_of_all / 2
