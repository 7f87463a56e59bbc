"""The rows of the 3B model on a GPU. No such machine was at hand when this was written: [unverified] until it ran on one.

A rehearsal takes the same way through the same code with tiny shapes on the CPU. Its numbers say nothing about a GPU, so no
target stands beside them.

MFU is the model's floating-point operations a second over the device's dense bfloat16 peak. The operations of a token are
those of steps/train/planning/flops.py (forward, and backward without the frozen weights' gradients; nothing that is computed again to
save memory), the peak is the data sheet's (steps/train/planning/devices.py), in every mode the bfloat16 one.
"""

from collections.abc import Callable

from scripts.training_bench.rows import CARD_BYTES, guarded
from scripts.training_bench.runner import CaseFailed, Runner
from scripts.training_bench.table import Row, Target

FAST_CASES = ("ours native", "ours storage", "ours fp8 off", "trl default")
LONG_CASES = {
    "ours native, one long row": "ours native",
    "trl bfd, one long row": "trl bfd recomputing",
}
_OURS_LONG, _TRL_LONG = LONG_CASES

Numbers = Callable[[Runner], tuple[float, float | None]]


def _speed(ours: str, peer: str) -> Numbers:
    return lambda runner: (runner.rate(ours, "wall_seconds"), runner.rate(peer, "wall_seconds"))


def _memory(runner: Runner) -> tuple[float, float]:
    return _long_peak(runner, _OURS_LONG), _long_peak(runner, _TRL_LONG)


def _fits(runner: Runner) -> tuple[float, float]:
    return _long_peak(runner, _OURS_LONG), CARD_BYTES


def _long_peak(runner: Runner, case: str) -> float:
    on_gpu = runner.of(case)[0]["peak_gpu_bytes"] is not None
    return runner.median(case, "peak_gpu_bytes" if on_gpu else "peak_rss_bytes")


def _mfu(runner: Runner) -> tuple[float, None]:
    case = FAST_CASES[0]
    first = runner.of(case)[0]
    if first["peak_flops"] is None:
        raise CaseFailed(
            f"{first['precision']['device']} has no data sheet in steps/train/planning/devices.py"
        )
    return runner.rate(case, "wall_seconds") * first["flops_per_token"] / first["peak_flops"], None


_ROWS: tuple[tuple[str, str, Target | None, Numbers], ...] = (
    (
        "tokens per second: native FP8, ours in bfloat16",
        "tok/s",
        Target("at least", 1.3),
        _speed("ours native", "ours fp8 off"),
    ),
    (
        "tokens per second: native FP8, TRL's default recipe",
        "tok/s",
        Target("at least", 1.5),
        _speed("ours native", "trl default"),
    ),
    (
        "tokens per second: FP8 storage, ours in bfloat16",
        "tok/s",
        Target("at least", 0.95),
        _speed("ours storage", "ours fp8 off"),
    ),
    (
        "peak memory, one long row: ours native, TRL packing=bfd in bfloat16",
        "MB",
        Target("at most", 0.65),
        _memory,
    ),
    ("peak memory, one long row: ours native, a 24 GB card", "MB", Target("at most", 1), _fits),
    ("MFU, native FP8 (of the bfloat16 peak)", "", None, _mfu),
)


def measured(runner: Runner, *, rehearsal: bool) -> list[Row]:
    """The rows from the cases that ran."""
    model = "rehearsal, tiny shapes, CPU" if rehearsal else "3B, GPU"
    return [
        guarded(
            f"{model}, {what}",
            unit,
            None if rehearsal else target,
            lambda numbers=numbers: numbers(runner),
        )
        for what, unit, target, numbers in _ROWS
    ]


def missing(why: str) -> list[Row]:
    """The rows where nothing could be measured."""
    return [
        Row(f"3B, GPU, {what}", unit, target=target, missing=why) for what, unit, target, _ in _ROWS
    ]
