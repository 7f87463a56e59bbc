"""How fast Train is on each GPU, as far as it is known without one.

    speed.of("ml.g5.16xlarge")    # Speed(gpu="A10G", tokens=3241)

[unverified] The figures are what `python -m scripts.roofline` predicts for Ministral-3-3B with rows
of 8,192 tokens, in the mode that `Fp8Mode auto` takes. `make bench-train` measures, and no GPU has
run it yet. An estimate is right within a factor of about 1.5, and its ratios between instances
within 15 %.
"""

from dataclasses import dataclass

from pipeline.configuration import instances
from pipeline.errors import UsageError

BASE_MODEL = "Ministral-3-3B"  # of which the figures are
# Tokens a second; a test compares them with the roofline.
_TOKENS = {
    "A10G": 3_241,
    "A100": 12_131,
    "L4": 4_536,
    "L40S": 14_157,
    "H100": 44_626,
    "H200": 51_602,
    "RTX PRO 6000": 17_446,
    "B200": 96_332,
    "B300": 97_874,
}
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
