"""Print which fine-tunes of Ministral-3-3B fit which device, without a GPU.

    python -m steps.train.planning.memory_table                       8,192-token rows
    python -m steps.train.planning.memory_table --sequence-length 2048 --mode off --rank 64

One line per known device shows the batching that batching.py would choose, and the peak that
memory.py predicts for it, in GiB: the total, its parts, and what stays free of the memory that CUDA
reports.
"""

import argparse
import sys
from dataclasses import dataclass

from steps.governance.errors import UsageError
from steps.train.planning import memory
from steps.train.planning.batching import ROWS_PER_STEP, UNCOUNTED_BYTES, budget_bytes, fit
from steps.train.planning.devices import SHEETS
from steps.train.planning.memory import Plan
from steps.train.planning.shapes import MINISTRAL_3B

_GIB = 2**30


@dataclass(frozen=True)
class Line:
    """The batching and the memory of one device; sizes in GiB."""

    device: str
    rows_at_once: int
    recomputed_layers: int
    base: float
    adapters: float
    kept: float
    momentary: float
    needed: float
    free: float


def table(plan: Plan, sequence_length: int) -> list[Line]:
    """Return one line for each known device on which this plan fits."""
    return [line for name in SHEETS if (line := _line(name, plan, sequence_length)) is not None]


def _line(name: str, plan: Plan, sequence_length: int) -> Line | None:
    total = SHEETS[name].memory_bytes
    divisors = [rows for rows in range(ROWS_PER_STEP, 0, -1) if ROWS_PER_STEP % rows == 0]
    try:
        decided = fit(plan, sequence_length, divisors=divisors, budget=budget_bytes(total))
    except UsageError:
        return None
    tokens, recomputed = decided.micro_rows * sequence_length, decided.recomputed_layers
    peak = memory.peak(plan, tokens, recomputed=recomputed)
    return Line(
        name,
        decided.micro_rows,
        recomputed,
        base=peak.base / _GIB,
        adapters=peak.adapters / _GIB,
        kept=peak.kept / _GIB,
        momentary=peak.momentary / _GIB,
        needed=peak.total / _GIB,
        free=(total - peak.total - UNCOUNTED_BYTES) / _GIB,
    )


def main() -> int:
    """Print the table."""
    options = _parser().parse_args()
    plan = Plan(MINISTRAL_3B, options.mode, options.rank, options.optimizer)
    columns = ("rows", "recomputed", "base", "adapters", "kept", "momentary", "needed", "free")
    sys.stdout.write(f"{'GiB':16}" + "".join(f"{column:>11}" for column in columns) + "\n")
    for line in table(plan, options.sequence_length):
        sizes = (line.base, line.adapters, line.kept, line.momentary, line.needed, line.free)
        sys.stdout.write(f"{line.device:16}{line.rows_at_once:11}{line.recomputed_layers:11}")
        sys.stdout.write("".join(f"{size:11.2f}" for size in sizes) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steps.train.planning.memory_table",
        description=(__doc__ or "").split("\n\n")[0],
    )
    parser.add_argument(
        "--sequence-length",
        type=int,
        default=8192,
        help="tokens of a packed row (default %(default)s)",
    )
    parser.add_argument("--mode", default="storage", choices=("storage", "native_dx", "off", "nf4"))
    parser.add_argument(
        "--optimizer", default="adamw", choices=("adamw", "adamw_8bit", "paged_adamw_8bit")
    )
    parser.add_argument(
        "--rank", type=int, default=16, help="rank of the adapters (default %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
