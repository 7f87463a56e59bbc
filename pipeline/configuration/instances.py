"""The SageMaker GPU instances that Train may run on, and what their GPUs can do.

    instances.TYPES                                 # the values of the parameter TrainInstanceType
    instances.has_fp8_arithmetic("ml.g6.xlarge")    # True

`pipeline.configuration.combinations` refuses an instance that cannot do what a parameter requires,
before it is paid for.
"""

from typing import NamedTuple


class _Family(NamedTuple):
    gpu: str
    capability: tuple[int, int]  # CUDA compute capability, NVIDIA's table "CUDA GPUs"
    sizes: str


# Sizes from SageMaker's enumeration (botocore 1.44.5), GPUs from the EC2 pages of the families. Of
# g7e and p6 (read 2026-11-30 in kubernetes/autoscaler issue 9854 and aws/sagemaker-hyperpod-cli
# pull request 390) nobody ran a job here [unverified].
_FAMILIES = {
    "g5": _Family(
        "A10G", (8, 6), "xlarge 2xlarge 4xlarge 8xlarge 16xlarge 12xlarge 24xlarge 48xlarge"
    ),
    "g6": _Family(
        "L4", (8, 9), "xlarge 2xlarge 4xlarge 8xlarge 16xlarge 12xlarge 24xlarge 48xlarge"
    ),
    "g6e": _Family(
        "L40S", (8, 9), "xlarge 2xlarge 4xlarge 8xlarge 16xlarge 12xlarge 24xlarge 48xlarge"
    ),
    "p4d": _Family("A100", (8, 0), "24xlarge"),
    "p4de": _Family("A100", (8, 0), "24xlarge"),
    "p5": _Family("H100", (9, 0), "4xlarge 48xlarge"),
    "p5e": _Family("H200", (9, 0), "48xlarge"),
    "p5en": _Family("H200", (9, 0), "48xlarge"),
    "g7e": _Family("RTX PRO 6000", (12, 0), "2xlarge 4xlarge 8xlarge 12xlarge 24xlarge 48xlarge"),
    "p6-b200": _Family("B200", (10, 0), "48xlarge"),
    "p6-b300": _Family("B300", (10, 3), "48xlarge"),
}
# GPUs of the g families by size. Their other sizes have one.
_MANY_GPUS = {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}
_MANY_GPUS_G7E = _MANY_GPUS | {"12xlarge": 2}
TYPES = tuple(
    f"ml.{family}.{size}" for family, has in _FAMILIES.items() for size in has.sizes.split()
)

# Compute capabilities on which torch multiplies e4m3 rows, each with a scale. Not 12.x: see
# steps/train/planning/devices.py, which a test compares.
FP8_CAPABILITIES = ((8, 9), (12, 0))  # from the first to before the second
WITH_FP8_ARITHMETIC = tuple(
    family
    for family, has in _FAMILIES.items()
    if FP8_CAPABILITIES[0] <= has.capability < FP8_CAPABILITIES[1]
)


def has_fp8_arithmetic(instance_type: str) -> bool:
    """Return whether Train multiplies FP8 numbers on the GPU. On others it computes in bfloat16."""
    return instance_type.split(".")[1] in WITH_FP8_ARITHMETIC


def gpus(instance_type: str) -> int:
    """Return how many GPUs one host of this type has."""
    family, size = instance_type.split(".")[1:]
    if family in ("g5", "g6", "g6e"):
        return _MANY_GPUS.get(size, 1)
    if family == "g7e":
        return _MANY_GPUS_G7E.get(size, 1)
    return 1 if size == "4xlarge" else 8


def gpu(instance_type: str) -> str:
    """Return the GPU's name and compute capability, for a message."""
    family = _FAMILIES[instance_type.split(".")[1]]
    return f"{family.gpu}, compute capability {'.'.join(map(str, family.capability))}"


def capability(instance_type: str) -> tuple[int, int]:
    """Return the CUDA compute capability of an instance type's GPU."""
    return _FAMILIES[instance_type.split(".")[1]].capability
