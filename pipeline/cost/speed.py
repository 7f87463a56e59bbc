"""How fast Train is on each GPU, as far as it is known without one.

    speed.of("ml.g5.16xlarge")    # Speed(gpu="A10G", tokens=2199)

[unverified] The figures are predictions for Ministral-3-3B with rows of 8,192 tokens, by counting
each operation and each byte of a step of the model (issue "Train: the fastest FP8 + LoRA
fine-tune"). No GPU has confirmed them; `make bench-train` measures. An estimate is right within a
factor of about 1.5, and its ratios between instances within 15 %.
"""

from dataclasses import dataclass

from pipeline.configuration import instances
from pipeline.errors import UsageError

BASE_MODEL = "Ministral-3-3B"  # of which the figures are
_TOKENS = {"A10G": 2_199, "L4": 2_040, "L40S": 5_878, "H100": 20_275}  # a second
# From the bandwidth of the memory relative to the H100's (3.35 TB/s), which bounds these modes.
_TOKENS["H200"] = round(_TOKENS["H100"] * 4.8 / 3.35)
_TOKENS["A100"] = round(_TOKENS["H100"] * 1.56 / 3.35)
# A forward pass alone has half of a step's operations: the frozen weights have no gradient.
FORWARD = 2.0


@dataclass(frozen=True)
class Speed:
    """Tokens a second that one GPU trains."""

    gpu: str
    tokens: int


def of(instance_type: str) -> Speed:
    """Return the speed of one GPU of an instance type.

    Raises:
        UsageError: no figure is known for its GPU.
    """
    gpu = instances.gpu(instance_type).partition(",")[0]
    if gpu not in _TOKENS:
        message = f"no figure is known for the GPU of {instance_type} ({gpu})"
        raise UsageError(message)
    return Speed(gpu, _TOKENS[gpu])
