"""Start one worker process per GPU and host, from the process that SageMaker starts per container.

    ending = run_workers(paths)     None: this process does the work itself

With at most one GPU on a single host, and in a worker, the result is None and nothing is started.
Otherwise this process becomes torchrun's agent: it connects to the agents of the other hosts,
starts `python -m steps.train` once per GPU, forwards SIGTERM, and waits.
`GOVERNED_FINETUNE_WORKERS=2` starts that many workers on a machine without GPUs, for tests and
benchmarks.
"""

import logging
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
from steps.train.distributed import cluster, shrinking, worker_endings
from steps.train.distributed.cluster import Cluster
from steps.train.distributed.worker_endings import Ending
from steps.train.paths import Paths
from steps.train.stopping import EXIT_CODE

log = logging.getLogger(__name__)

WORKERS = "GOVERNED_FINETUNE_WORKERS"
# SageMaker kills a container 120 s after SIGTERM. torchrun's default would kill the workers after
# 30 s, while they write a checkpoint.
_SHUTDOWN_SECONDS = 110
# Hosts start minutes apart: each pulls the image and downloads the base model.
_RENDEZVOUS_SECONDS = 1800
_PORT = 29400  # torchrun's default for the rendezvous; nothing else uses the container's network
_WORKER = ("-m", "steps.train")


def run_workers(paths: Paths) -> Ending | None:
    """Start the workers and wait for their end. None if this process does the work itself.

    Raises:
        UsageError: resourceconfig.json or the number of workers is not valid.
    """
    if worker_endings.FOLDER in os.environ:
        return None  # this process is a worker
    hosts = cluster.read(paths.resources)
    workers = _workers(os.environ)
    if workers == 1 and len(hosts.hosts) == 1:
        return None
    variables = cluster.environment(hosts) | _threads(workers)
    smaller = 0
    while True:
        with tempfile.TemporaryDirectory(prefix="endings-") as folder:
            given = {worker_endings.FOLDER: folder} | shrinking.environment(smaller)
            with _environment(variables | given):
                ending = _run(hosts, workers, Path(folder))
        if not ending.shrinks or len(hosts.hosts) > 1:
            return ending
        smaller += 1
        log.warning("out of memory: all %d workers start again with smaller passes", workers)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which the workers inherit, in this block."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _workers(environment: Mapping[str, str]) -> int:
    """Return the number of workers: one per GPU, at least one.

    torch, which takes seconds to import, is imported only if the driver has several devices.
    """
    requested = environment.get(WORKERS)
    if requested is not None:
        if not re.fullmatch(r"[1-9][0-9]?", requested):
            got = repr(requested[:100])
            raise UsageError(f"{WORKERS} cannot be used", expected="1 to 99", got=got)
        return int(requested)
    if sum(1 for _ in Path("/dev").glob("nvidia[0-9]*")) < 2:
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def _threads(workers: int) -> dict[str, str]:
    """Divide the cores among the workers; by default each would start a thread on every core."""
    cores = len(os.sched_getaffinity(0))
    return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, cores // workers)))}


def _run(hosts: Cluster, workers: int, folder: Path) -> Ending:
    """Run the agent, and return how the job ended on this host.

    A worker that was killed by a signal has not written its ending, and those of the others only
    report broken connections. In this case the agent's exit code decides.
    """
    # Until torchrun installs its own handler, SIGTERM ends this process.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        exit_code = _agent(hosts, workers)
    except _Terminated:
        exit_code = EXIT_CODE
    expected = exit_code in (0, EXIT_CODE)
    killed = exit_code > 128 and not expected
    reported = worker_endings.decisive(folder)
    if reported is not None and not killed and (reported.exit_code != 0 or expected):
        return reported
    return Ending(exit_code, "" if expected else _unexplained(exit_code))


def _unexplained(exit_code: int) -> str:
    if exit_code <= 128:
        return f"a worker process ended with exit code {exit_code} and gave no reason"
    name = signal.Signals(exit_code - 128).name
    return (
        f"a worker process was killed by {name}; "
        "after SIGKILL, check whether the host ran out of memory"
    )


def _agent(hosts: Cluster, workers: int) -> int:
    """Run torchrun's agent of this host until its workers have ended.

    Returns: 0, or the exit code of the first worker that failed; 128 plus the signal, as in a
        shell, if a signal ended the worker or the agent.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    try:
        elastic_launch(_configuration(hosts, workers), sys.executable)(*_WORKER)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        code = failure.exitcode  # negative: minus the signal
        return code if code > 0 else 128 - code
    except SignalException as error:
        return 128 + error.sigval
    return 0


def _configuration(hosts: Cluster, workers: int) -> Any:
    from torch.distributed.launcher.api import LaunchConfig

    single = len(hosts.hosts) == 1
    return LaunchConfig(
        min_nodes=len(hosts.hosts),
        max_nodes=len(hosts.hosts),
        nproc_per_node=workers,
        run_id=os.environ.get("TRAINING_JOB_NAME", "train"),
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0" if single else f"{hosts.first_host}:{_PORT}",
        rdzv_configs={
            "is_host": hosts.current_host == hosts.first_host,
            "timeout": _RENDEZVOUS_SECONDS,
            "join_timeout": _RENDEZVOUS_SECONDS,
        },
        local_addr="127.0.0.1" if single else hosts.current_host,
        max_restarts=0,  # SageMaker or the pipeline restarts the job, from the last checkpoint
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )


class _Terminated(Exception):
    """SIGTERM was received before the workers were started."""


def _terminate(*_: object) -> None:
    raise _Terminated
