"""Where Train may run: SageMaker's one-host GPU instances, and what their GPUs can do.

    instances.TYPES                                 # the values of the parameter TrainInstanceType
    instances.has_fp8_arithmetic("ml.g6.xlarge")    # True

An instance that cannot do what a parameter asks is refused before it is paid for (`pipeline.configuration.combinations`).
"""

from typing import NamedTuple


class _Family(NamedTuple):
    gpu: str
    capability: tuple[int, int]  # CUDA compute capability, NVIDIA's table "CUDA GPUs"
    sizes: str


# Sizes: the SageMaker enumeration (botocore 1.44.5); GPUs: the EC2 pages of the families.
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
_MANY_GPUS = {
    "12xlarge": 4,
    "24xlarge": 4,
    "48xlarge": 8,
}  # of the g families; their other sizes have one
TYPES = tuple(
    f"ml.{family}.{size}" for family, has in _FAMILIES.items() for size in has.sizes.split()
)

FP8_CAPABILITY = (8, 9)  # the first compute capability with e4m3 matrix products
WITH_FP8_ARITHMETIC = tuple(
    family for family, has in _FAMILIES.items() if has.capability >= FP8_CAPABILITY
)


def has_fp8_arithmetic(instance_type: str) -> bool:
    """Whether its GPU multiplies FP8 numbers; the others store FP8 and compute in bfloat16."""
    return instance_type.split(".")[1] in WITH_FP8_ARITHMETIC


def gpus(instance_type: str) -> int:
    """How many GPUs one host of this type has."""
    family, size = instance_type.split(".")[1:]
    return (
        _MANY_GPUS.get(size, 1) if family in ("g5", "g6", "g6e") else 1 if size == "4xlarge" else 8
    )


def gpu(instance_type: str) -> str:
    """The GPU's name and compute capability, for a message."""
    family = _FAMILIES[instance_type.split(".")[1]]
    return f"{family.gpu}, compute capability {'.'.join(map(str, family.capability))}"
