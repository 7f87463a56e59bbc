"""Predict the speed of a fine-tune on a GPU, from the operations of the code that trains.

    python -m scripts.roofline [--instance ml.g6e.xlarge …] [--sequence-length 8192]

For Ministral-3-3B with adapters of rank 16, one packed row of 8,192 tokens in documents of 1,024
with 20 % labels: bytes that a token moves outside of matrix products, kernels of a pass, operations
of a token, and per instance type tokens/s and MFU in each mode. No GPU is needed; what is predicted
is [unverified] until one has measured it. What Train decides by it is in decision 042 in
docs/decisions.
"""

import argparse
import functools
import sys
from typing import TYPE_CHECKING

from pipeline.configuration import instances
from steps.train.planning import flops
from steps.train.planning.devices import SHEETS
from steps.train.planning.shapes import MINISTRAL_3B

if TYPE_CHECKING:
    from scripts.roofline.counting import Operation

TOKENS = 8192
MODES = ("storage", "native_dx", "off")
_EXAMPLES = ("ml.g5.xlarge", "ml.p4d.24xlarge", "ml.g6.xlarge", "ml.g6e.xlarge", "ml.p5.4xlarge")


def main() -> int:
    """Print both tables."""
    arguments = _parse()
    print("| mode | MB a token outside products | kernels a pass | 10^9 operations a token |")
    print("|---|---|---|---|")
    for mode in MODES:
        passed = operations(mode, False)
        print(f"| {mode} | {outside(passed):.1f} | {len(passed):,} | {products(passed):.2f} |")
    print("\n| instance | GPU | mode | recomputed | tokens/s | MFU |\n|---|---|---|---|---|---|")
    for instance in arguments.instance:
        for row in _rows(instance, arguments.sequence_length):
            print(row)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.roofline", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument(
        "--instance",
        nargs="+",
        default=_EXAMPLES,
        choices=instances.TYPES,
        metavar="TYPE",
        help="values of TrainInstanceType (default: one for each GPU)",
    )
    parser.add_argument("--sequence-length", type=int, default=TOKENS, help="default %(default)s")
    return parser.parse_args()


@functools.cache
def operations(mode: str, recomputing: bool) -> "list[Operation]":
    """Return the operations of a pass in which all layers recompute, or none."""
    from scripts.roofline import tracing  # imports torch for seconds, which --help need not

    recomputed = MINISTRAL_3B.layers if recomputing else 0
    return tracing.traced(mode, tokens=TOKENS, recomputed=recomputed)


def outside(passed: "list[Operation]") -> float:
    """Return the megabytes that a token moves outside of products and attention."""
    return sum(each.bytes for each in passed if not each.flops) / TOKENS / 1e6


def products(passed: "list[Operation]") -> float:
    """Return the billions of operations of a token."""
    return sum(each.flops for each in passed) / TOKENS / 1e9


def speed(mode: str, card: str, sequence_length: int = TOKENS) -> float:
    """Return the predicted tokens per second, with the layers that Train would recompute."""
    from scripts.roofline import cards, tracing

    share = cards.recomputed_share(mode, card, sequence_length, tracing.RANK)
    kept, all_of_them = (cards.seconds(operations(mode, each), card) for each in (False, True))
    return TOKENS / (kept + share * (all_of_them - kept))


def card_of(instance: str) -> str:
    """Return the key of SHEETS for an instance type's GPU; of two sizes of memory the smaller."""
    gpu = instances.gpu(instance).partition(",")[0]
    return next(name for name in SHEETS if name == gpu or name.startswith((f"{gpu} ", f"{gpu}-")))


def _rows(instance: str, sequence_length: int) -> list[str]:
    from scripts.roofline import cards, tracing

    card = card_of(instance)
    pairs = TOKENS // tracing.DOCUMENT * tracing.DOCUMENT * (tracing.DOCUMENT + 1) // 2
    counted = flops.Tokens(TOKENS, pairs, round(TOKENS * tracing.LABELLED))
    needed = flops.of_step(MINISTRAL_3B, tracing.RANK, counted).total / TOKENS
    rows = []
    for mode in MODES:
        if mode.startswith("native") and SHEETS[card].fp8 is None:
            continue
        rate = speed(mode, card, sequence_length)
        share = cards.recomputed_share(mode, card, sequence_length, tracing.RANK)
        mfu = rate * needed / SHEETS[card].bfloat16
        rows.append(f"| {instance} | {card} | {mode} | {share:.0%} | {rate:,.0f} | {mfu:.2f} |")
    return rows


if __name__ == "__main__":
    sys.exit(main())
