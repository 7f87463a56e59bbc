"""The driver of Train's hosts against the CUDA that the image's torch was built for.

    for check in drivers.checked(config, client): ...

Before a job this much is known: the CUDA of the wheel that the Dockerfile names, the oldest driver
for it, and the oldest CUDA for the card. AWS states the drivers of SageMaker's inference hosts and
of no training host, so the driver itself is known from a job only: Train refuses to start without
it (`steps/train/distributed/required_gpu.py`), and a job that completed had it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.configuration import instances
from pipeline.configuration.config import Config
from pipeline.configuration.fields import LOCAL
from pipeline.configuration.parameters import DEFAULTS
from pipeline.doctor.check import MISSING, UNKNOWN, Check
from pipeline.doctor.statements import Client

Cuda = tuple[int, int]
DOCKERFILE = Path(__file__).parents[2] / "containers" / "train" / "Dockerfile"
_ARGUMENT = re.compile(r"^ARG TORCH=torch==(\S+)$", re.MULTILINE)
_LOCAL_VERSION = re.compile(r"\+cu([0-9]{2})([0-9])$")
# A wheel on PyPI has no +cu…: that of 2.13.0 is the CUDA 13.0 build. Read 2026-11-28.
_PYPI: dict[str, Cuda] = {"2.13.0": (13, 0)}
# NVIDIA, "CUDA Compatibility", table of minor version compatibility. Read 2026-11-30.
_OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
# NVIDIA, release notes of the CUDA Toolkit: Ada and Hopper 11.8, Blackwell 12.8, its 10.3 12.9.
_OLDEST_CUDA: dict[tuple[int, int], Cuda] = {
    (8, 9): (11, 8),
    (9, 0): (11, 8),
    (10, 0): (12, 8),
    (10, 3): (12, 9),
    (12, 0): (12, 8),
}
REFUSED = "torch cannot use its GPU"  # of required_gpu.py; a test compares both


def checked(config: Config, client: Client) -> Iterator[Check]:
    """Yield a check for the card and one for the driver. Jobs of `local` run on this machine."""
    if config.environment == LOCAL:
        return
    instance = str(config.parameters.get("TrainInstanceType", DEFAULTS["TrainInstanceType"]))
    wheel, cuda = build(DOCKERFILE.read_text(encoding="utf-8"))
    if cuda is None or cuda[0] not in _OLDEST_DRIVER:
        fix = "see torch.version.cuda, and add it to pipeline/doctor/drivers.py"
        yield Check(f"driver of {instance}", UNKNOWN, f"the CUDA of torch {wheel}", "none", fix)
        return
    capability = instances.capability(instance)
    yield Check.of(
        f"torch for {instances.gpu(instance)}",
        cuda >= _OLDEST_CUDA.get(capability, (0, 0)),
        expected=f"CUDA {_text(_OLDEST_CUDA.get(capability, (0, 0)))} or newer",
        found=f"torch {wheel}, built for CUDA {_text(cuda)}",
        fix="another TORCH in containers/train/Dockerfile, then scripts/images",
    )
    needs = (f"torch {wheel} (CUDA {_text(cuda)})", _OLDEST_DRIVER[cuda[0]])
    yield _driver(config, client("sagemaker"), instance, needs)


def build(dockerfile: str) -> tuple[str, Cuda | None]:
    """Return the version of torch that a Dockerfile installs, and its CUDA if that is known.

    The image may have been built with another argument TORCH; only its job's log shows that.
    """
    found = _ARGUMENT.search(dockerfile)
    if found is None:
        return "without ARG TORCH", None
    version = found[1]
    if local := _LOCAL_VERSION.search(version):
        return version, (int(local[1]), int(local[2]))
    return version, _PYPI.get(version)


def _driver(config: Config, sagemaker: Any, instance: str, needs: tuple[str, int]) -> Check:
    name = f"driver of {instance}"
    expected = f"{needs[1]} or newer, for {needs[0]}"
    for job in _newest(sagemaker, config.train.image):
        if job["ResourceConfig"].get("InstanceType") != instance:
            continue
        if job["TrainingJobStatus"] == "Completed":
            return Check(name)
        if REFUSED in (reason := job.get("FailureReason", "")):
            fix = (
                "a wheel of torch for an older CUDA (TORCH in containers/train/Dockerfile), or a "
                "base image with the compatibility libraries of this one; then scripts/images"
            )
            return Check(name, MISSING, expected, " ".join(reason.split())[:300], fix)
    fix = (
        f"python -m pipeline.run --env {config.environment} --set MaxSteps=1 --follow: Train names "
        "both at once if they do not fit, and a job that completes is the proof"
    )
    found = "AWS states no driver of training hosts, and no job of this image and type has ended"
    return Check(name, UNKNOWN, expected, found, fix)


def _newest(sagemaker: Any, image: str) -> list[dict[str, Any]]:
    """Return the newest training jobs of an image. [unverified in an account: the filter's name]"""
    name = "AlgorithmSpecification.TrainingImage"
    answer = sagemaker.search(
        Resource="TrainingJob",
        SearchExpression={"Filters": [{"Name": name, "Operator": "Equals", "Value": image}]},
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=50,
    )
    return [each["TrainingJob"] for each in answer["Results"]]


def _text(cuda: Cuda) -> str:
    return ".".join(map(str, cuda))
