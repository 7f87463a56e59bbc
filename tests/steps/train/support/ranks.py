"""Start several processes of one job, connected over gloo on 127.0.0.1.

with several(2, "rank_worker", folder) as workers: …
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parents[4]
SECONDS = 900  # a timeout for hangs
# An installed package is also named `tests` and would be found before this folder, which is not a
# package.
_RUN = """
import importlib, sys, types
tests = types.ModuleType("tests")
tests.__path__ = ["tests"]
sys.modules["tests"] = tests
importlib.import_module("tests.steps.train.support." + sys.argv[1]).main(*sys.argv[2:])
"""


@contextmanager
def several(count: int, *arguments: str) -> Iterator[list["subprocess.Popen[str]"]]:
    """Run `main` of a module of this folder in `count` processes, and kill them after the block.

    Args:
        count: number of processes.
        *arguments: the module's name and the arguments of its `main`.

    The processes get the environment variables that torchrun's agent sets.
    """
    from torch.distributed import TCPStore

    store = TCPStore(
        "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=SECONDS)
    )
    workers = [_start(rank, count, store.port, arguments) for rank in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def finish(workers: list["subprocess.Popen[str]"]) -> list[str]:
    """Wait for all processes, which must exit with 0, and return what each printed."""
    outputs = [worker.communicate(timeout=SECONDS) for worker in workers]
    for worker, (_, errors) in zip(workers, outputs, strict=True):
        assert worker.returncode == 0, errors[-6000:]
    return [printed for printed, _ in outputs]


def _start(rank: int, count: int, port: int, arguments: tuple[str, ...]) -> "subprocess.Popen[str]":
    variables = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "TORCHELASTIC_USE_AGENT_STORE": True,
        "TORCHELASTIC_RESTART_COUNT": 0,
        "OMP_NUM_THREADS": 1,
    }
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    command = [sys.executable, "-c", _RUN, *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
