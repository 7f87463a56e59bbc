"""Turn counted operations into the seconds that they take on a GPU, as a roofline predicts them.

    seconds(operations, "L40S")

Each kernel takes the longer of its arithmetic and its traffic, and the time of a launch. Absolute
numbers depend on the efficiencies below, which are assumptions; ratios between modes, and between
two versions of the code, depend on them little (about 15 %). [unverified on a GPU]
"""

from collections.abc import Iterable

from scripts.roofline.counting import Operation
from steps.train.planning import batching
from steps.train.planning.devices import SHEETS
from steps.train.planning.memory import Plan
from steps.train.planning.shapes import MINISTRAL_3B

# Shares of the data sheet that large products, attention and copies reach, and a launch in eager
# mode. Assumptions: cuBLAS on A10G is bound less by power than on the others.
_PRODUCTS, _PRODUCTS_A10G, _ATTENTION, _TRAFFIC = 0.65, 0.80, 0.45, 0.85
_LAUNCH = 2e-6  # seconds


def seconds(operations: Iterable[Operation], card: str) -> float:
    """Return the seconds of these operations, one after another; `card` is a key of SHEETS.

    Raises:
        ValueError: the card has no FP8 arithmetic, and the operations need it.
    """
    return sum(_seconds(operation, card) for operation in operations)


def _seconds(operation: Operation, card: str) -> float:
    sheet = SHEETS[card]
    peak = sheet.fp8 if operation.fp8 else sheet.bfloat16
    if peak is None:
        raise ValueError(f"{card} multiplies no FP8 numbers")
    products = _PRODUCTS_A10G if card == "A10G" else _PRODUCTS
    reached = peak * (_ATTENTION if operation.is_attention else products)
    traffic = operation.bytes / (sheet.bandwidth * _TRAFFIC)
    return max(operation.flops / reached, traffic) + _LAUNCH


def recomputed_share(mode: str, card: str, sequence_length: int, rank: int) -> float:
    """Return the share of layers that Train would recompute on this card."""
    plan = Plan(MINISTRAL_3B, mode, rank)
    rows = batching.ROWS_PER_STEP
    decided = batching.fit(
        plan,
        sequence_length,
        divisors=[n for n in range(rows, 0, -1) if rows % n == 0],
        budget=batching.budget_bytes(SHEETS[card].memory_bytes),
    )
    return decided.recomputed_layers / decided.decoder_layers
