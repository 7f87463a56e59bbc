"""The rows of the 3B model on a GPU.

[unverified]: no GPU was available when this was written. A rehearsal runs the same code with tiny
shapes on the CPU. Its numbers mean nothing for a GPU, so they are compared with no target.

MFU is the model's floating-point operations per second divided by the device's dense bfloat16 peak,
in every mode. steps/train/planning/flops.py counts the operations of a token: forward, and backward
without the weight gradients of the frozen base, but no operation that is repeated to save memory.
steps/train/planning/devices.py has the peak of the data sheet.
"""

from collections.abc import Callable
from functools import partial

from scripts.training_bench.rows import CARD_BYTES, guarded
from scripts.training_bench.runner import CaseFailed, Runner
from scripts.training_bench.table import Row, Target

FAST_CASES = ("ours native", "ours storage", "ours fp8 off", "trl default")
LONG_CASES = {
    "ours native, one long row": "ours native",
    "trl bfd, one long row": "trl bfd recomputing",
}
_OURS_LONG, _TRL_LONG = LONG_CASES

NumbersOf = Callable[[Runner], tuple[float, float | None]]


def _speed(ours: str, peer: str) -> NumbersOf:
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
        device = first["precision"]["device"]
        raise CaseFailed(f"{device} has no data sheet in steps/train/planning/devices.py")
    return runner.rate(case, "wall_seconds") * first["flops_per_token"] / first["peak_flops"], None


# What is compared, its unit, the target of the ratio, and the two numbers.
_ROWS: tuple[tuple[str, str, Target | None, NumbersOf], ...] = (
    (
        "tokens per second: native FP8, ours in bfloat16",
        "tok/s",
        Target("at least", 1.15),
        _speed("ours native", "ours fp8 off"),
    ),
    (
        "tokens per second: native FP8, TRL's default recipe",
        "tok/s",
        Target("at least", 2),
        _speed("ours native", "trl default"),
    ),
    (
        "tokens per second: FP8 storage, ours in bfloat16",
        "tok/s",
        Target("at least", 0.97),
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
    """Return the rows from the cases that ran; those of a rehearsal have no targets."""
    model = "rehearsal, tiny shapes, CPU" if rehearsal else "3B, GPU"
    return [
        guarded(f"{model}, {what}", unit, None if rehearsal else target, partial(numbers, runner))
        for what, unit, target, numbers in _ROWS
    ]


def missing(reason: str) -> list[Row]:
    """Return the rows where nothing could be measured, with the reason."""
    return [
        Row(f"3B, GPU, {what}", unit, target=target, missing=reason)
        for what, unit, target, _ in _ROWS
    ]
