"""Refuse a job on a GPU instance whose GPU torch cannot use, before anything is read.

    required_gpu.require(cluster.read(paths.resources).instance_type)

Without this check the job would train on the instance's CPU: for days, in float32, at the price of
the GPU. The usual cause is a driver that is older than the CUDA version which torch was built for,
so the message names both.

`GOVERNED_FINETUNE_CPU=allowed` lets such a job run on the CPU. The embedded environment sets it:
there an instance type is only a name, and jobs run on this machine.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from steps.governance.errors import UsageError
from steps.train import before_torch

CPU = "GOVERNED_FINETUNE_CPU"
ALLOWED = "allowed"
# SageMaker's families with NVIDIA GPUs: g4dn, g5, gr6, g6e, p4d, p5en, p6-b200 and their successors
_GPU_TYPE = re.compile(r"ml\.(g|gr|p)[0-9]")
_DRIVER = Path("/proc/driver/nvidia/version")
_VERSION = re.compile(r"Kernel Module\D*([0-9]+(?:\.[0-9]+)+)")


def require(
    instance_type: str | None,
    *,
    bitsandbytes: bool,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Check that torch can use the GPU of this instance type. Other types need no check.

    torch is imported only if there is something to check; `bitsandbytes` is for that import.

    Raises:
        UsageError: the instance type has GPUs, and torch can use none of them.
    """
    if not _GPU_TYPE.match(instance_type or "") or environment.get(CPU) == ALLOWED:
        return
    before_torch.prepare_imports(bitsandbytes=bitsandbytes)
    import torch

    if torch.cuda.is_available():
        return
    raise UsageError(
        f"this job runs on {instance_type}, and torch cannot use its GPU",
        expected=f"a GPU and a driver for torch {torch.__version__} ({_build(torch.version.cuda)})",
        got=f"{_driver()}; torch's reason: {_reason()}",
        do="build the training image with a torch for this driver's CUDA version "
        "(containers/train/Dockerfile, TORCH), or with the compatibility libraries of that "
        "version; see that NVIDIA_VISIBLE_DEVICES and NVIDIA_DRIVER_CAPABILITIES are set in it",
    )


def _build(cuda: str | None) -> str:
    return f"built for CUDA {cuda}" if cuda else "built for the CPU only"


def _driver() -> str:
    """Return the kernel driver's version, which a container sees as its host does."""
    try:
        found = _VERSION.search(_DRIVER.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return "no NVIDIA driver"
    return f"NVIDIA driver {found[1]}" if found else f"a driver without a version in {_DRIVER}"


def _reason() -> str:
    """Return the first line of torch's error when it starts CUDA."""
    import torch

    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:  # AssertionError: a build without CUDA
        return str(error).splitlines()[0][:200]
    return "no device is visible"
