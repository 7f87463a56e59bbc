"""One worker process per GPU and host, started by the one process that SageMaker starts in each container.

    ending = launch.launched(paths)     None: this process does the work itself

With one GPU (or none) on one host, and in a worker, the answer is None and nothing was started. Otherwise this process
becomes torchrun's agent: it meets the agents of the other hosts, starts `python -m steps.train` once per GPU, hands
SIGTERM on, and waits. `GOVERNED_FINETUNE_WORKERS=2` starts that many workers on a machine without GPUs, for tests and
benchmarks.
"""

import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steps.governance.errors import UsageError
from steps.train.distributed import cluster, worker_endings
from steps.train.distributed.cluster import Cluster
from steps.train.distributed.worker_endings import Ending
from steps.train.paths import Paths
from steps.train.stopping import EXIT_CODE

WORKERS = "GOVERNED_FINETUNE_WORKERS"
# SageMaker kills a container 120 s after SIGTERM; torchrun would kill its workers after 30 s, in the middle of a checkpoint.
_SHUTDOWN_SECONDS = 110
_MEETING_SECONDS = (
    1800  # hosts start minutes apart: each pulls the image and fetches the base model
)
_PORT = 29400  # torchrun's own default for rendezvous; the container's network has no other user
_WORKER = ("-m", "steps.train")


def launched(paths: Paths) -> Ending | None:
    """Start the workers and wait for their end, if this job has more than one.

    Raises:
        UsageError: resourceconfig.json or the number of workers cannot be used.
    """
    if worker_endings.FOLDER in os.environ:
        return None  # a worker
    hosts = cluster.read(paths.resources)
    workers = _workers(os.environ)
    if workers == 1 and len(hosts.hosts) == 1:
        return None
    with tempfile.TemporaryDirectory(prefix="endings-") as folder:
        told = {**cluster.environment(hosts), **_threads(workers), worker_endings.FOLDER: folder}
        with _inherited(told):
            return _run(hosts, workers, Path(folder))


@contextmanager
def _inherited(told: Mapping[str, str]) -> Iterator[None]:
    """Variables for the workers, which take this process's; it is no worker itself afterwards."""
    before = dict(os.environ)
    os.environ.update(told)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _workers(environment: Mapping[str, str]) -> int:
    """One per GPU; torch is asked only where the driver has more than one device."""
    asked = environment.get(WORKERS)
    if asked is not None:
        if not re.fullmatch(r"[1-9][0-9]?", asked):
            raise UsageError(f"{WORKERS} cannot be used", expected="1 to 99", got=repr(asked[:100]))
        return int(asked)
    if sum(1 for _ in Path("/dev").glob("nvidia[0-9]*")) < 2:
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def _threads(workers: int) -> dict[str, str]:
    """The cores shared out; each worker would otherwise start a thread on every core."""
    cores = len(os.sched_getaffinity(0))
    return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, cores // workers)))}


def _run(hosts: Cluster, workers: int, folder: Path) -> Ending:
    """How the job ended on this host. What no worker told (the kernel killed it) is read off its exit code."""
    signal.signal(
        signal.SIGTERM, _terminate
    )  # the agent takes over as soon as there are workers to hand it to
    try:
        exit_code = _agent(hosts, workers)
    except _Terminated:
        exit_code = EXIT_CODE
    told = worker_endings.first(folder)
    killed = (
        exit_code > 128 and exit_code != EXIT_CODE
    )  # whoever it was could not tell, and the others tell of that
    if told is not None and not killed and (told.exit_code != 0 or exit_code in (0, EXIT_CODE)):
        return told
    return Ending(exit_code, "" if exit_code in (0, EXIT_CODE) else _unexplained(exit_code))


def _unexplained(exit_code: int) -> str:
    if exit_code <= 128:
        return f"a worker process ended with exit code {exit_code} and gave no reason"
    name = signal.Signals(exit_code - 128).name
    return f"a worker process was killed by {name}; after SIGKILL, look whether the host ran out of memory"


def _agent(hosts: Cluster, workers: int) -> int:
    """Be torchrun's agent of this host until its workers have ended; the exit code of one that failed, or 0."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    try:
        elastic_launch(_configuration(hosts, workers), sys.executable)(*_WORKER)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return (
            failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
        )  # what a shell reports for a signal
    except SignalException as error:
        return 128 + error.sigval
    return 0


def _configuration(hosts: Cluster, workers: int) -> Any:
    from torch.distributed.launcher.api import LaunchConfig

    alone = len(hosts.hosts) == 1
    return LaunchConfig(
        min_nodes=len(hosts.hosts),
        max_nodes=len(hosts.hosts),
        nproc_per_node=workers,
        run_id=os.environ.get("TRAINING_JOB_NAME", "train"),
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0" if alone else f"{hosts.first_host}:{_PORT}",
        rdzv_configs={
            "is_host": hosts.current_host == hosts.first_host,
            "timeout": _MEETING_SECONDS,
            "join_timeout": _MEETING_SECONDS,
        },
        local_addr="127.0.0.1" if alone else hosts.current_host,
        max_restarts=0,  # SageMaker or the pipeline starts the job again, from the last checkpoint
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )


class _Terminated(Exception):
    """SIGTERM came before there was a worker."""


def _terminate(*_: object) -> None:
    raise _Terminated
