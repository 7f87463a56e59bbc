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


# Sizes from SageMaker's enumeration (botocore 1.44.5), GPUs from the EC2 pages of the families.
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
}
# GPUs of the g families by size. Their other sizes have one.
_MANY_GPUS = {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}
TYPES = tuple(
    f"ml.{family}.{size}" for family, has in _FAMILIES.items() for size in has.sizes.split()
)

FP8_CAPABILITY = (8, 9)  # the lowest compute capability with matrix products of e4m3 numbers
WITH_FP8_ARITHMETIC = tuple(
    family for family, has in _FAMILIES.items() if has.capability >= FP8_CAPABILITY
)


def has_fp8_arithmetic(instance_type: str) -> bool:
    """Return whether the GPU multiplies FP8 numbers. Others store FP8 and compute in bfloat16."""
    return instance_type.split(".")[1] in WITH_FP8_ARITHMETIC


def gpus(instance_type: str) -> int:
    """Return how many GPUs one host of this type has."""
    family, size = instance_type.split(".")[1:]
    if family in ("g5", "g6", "g6e"):
        return _MANY_GPUS.get(size, 1)
    return 1 if size == "4xlarge" else 8


def gpu(instance_type: str) -> str:
    """Return the GPU's name and compute capability, for a message."""
    family = _FAMILIES[instance_type.split(".")[1]]
    return f"{family.gpu}, compute capability {'.'.join(map(str, family.capability))}"
