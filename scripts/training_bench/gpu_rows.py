"""The rows of the 3B model on a GPU. No such machine was at hand when this was written: [unverified] until it ran on one.

A rehearsal takes the same way through the same code with tiny shapes on the CPU. Its numbers say nothing about a GPU, so no
target stands beside them.
"""

from collections.abc import Callable

from scripts.training_bench.rows import guarded
from scripts.training_bench.running import Runner
from scripts.training_bench.table import Row, Target

FAST_CASES = ("ours native", "ours storage", "ours fp8 off", "trl default")
LONG_CASES = {"ours native, one long row": "ours native", "trl bfd, one long row": "trl bfd recomputing"}
_OURS_LONG, _TRL_LONG = LONG_CASES
_A10G_BYTES = 24e9  # the card's 24 GB (issue 3)

_SPEEDS = (  # what is compared, ours, the peer, the target
    ("native FP8, ours in bfloat16", "ours native", "ours fp8 off", Target("at least", 1.3)),
    ("native FP8, TRL's default recipe", "ours native", "trl default", Target("at least", 1.5)),
    ("FP8 storage, ours in bfloat16", "ours storage", "ours fp8 off", Target("at least", 0.95)),
)


def measured(section: str, runner: Runner, *, rehearsal: bool) -> list[Row]:
    """The section's rows from the cases that ran."""
    table: list[tuple[str, str, Target | None, Callable[[], tuple[float, float]]]] = []
    kind = "peak_rss_bytes" if rehearsal else "peak_gpu_bytes"
    if section == "gpu":
        for what, ours, peer, target in _SPEEDS:
            table.append((_speed(what), "tok/s", target, _speeds(runner, ours, peer)))
        table.append(
            (_MEMORY, "MB", _SMALLER, lambda: (runner.median(_OURS_LONG, kind), runner.median(_TRL_LONG, kind)))
        )
    elif rehearsal:
        return missing(section, "a rehearsal's memory is not the 3B model's")
    else:
        table.append((_FITS, "MB", _WITHIN_CARD, lambda: (runner.median(_OURS_LONG, kind), _A10G_BYTES)))
    if rehearsal:
        tiny = [(what.replace("3B", "rehearsal, tiny, CPU"), unit, numbers) for what, unit, _, numbers in table]
        return [guarded(what, unit, None, numbers) for what, unit, numbers in tiny]
    return [guarded(what, unit, target, numbers) for what, unit, target, numbers in table]


def missing(section: str, why: str) -> list[Row]:
    """The section's rows where nothing could be measured."""
    if section == "gpu":
        speeds = [Row(_speed(what), "tok/s", target=target, missing=why) for what, _, _, target in _SPEEDS]
        return [*speeds, Row(_MEMORY, "MB", target=_SMALLER, missing=why)]
    return [Row(_FITS, "MB", target=_WITHIN_CARD, missing=why)]


_MEMORY = "3B, GPU memory at 8,192 tokens: ours native, TRL packing=bfd in bfloat16"
_SMALLER = Target("at most", 0.65)
_FITS = "3B, GPU memory at 8,192 packed tokens: ours, a 24 GB card"
_WITHIN_CARD = Target("at most", 1.0)


def _speed(what: str) -> str:
    return f"3B, tokens per second: {what}"


def _speeds(runner: Runner, ours: str, peer: str) -> Callable[[], tuple[float, float]]:
    return lambda: (runner.rate(ours, "wall_seconds"), runner.rate(peer, "wall_seconds"))
