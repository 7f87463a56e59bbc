"""Make rows of the table from measured cases: which numbers are compared, and their targets.

Tokens are real ones, without padding. docs/bench-train.md shows measured rows.
"""

from collections.abc import Callable, Sequence
from functools import partial

from scripts.training_bench.runner import CaseFailed, Runner
from scripts.training_bench.table import Row, Target

CPU_CASES = (
    "ours",
    "ours fp8 off",
    "trainer padded",
    "trainer grouped",
    "trl bfd",
    "trl bfd recomputing",
)
PADDED_CASES = ("trainer padded", "trainer grouped")
ONE_FOLD, TEN_FOLD = "streaming, once the data", "streaming, ten times the data"
_FP8_MODES = ("storage", "native", "native_dx")
FP8_CASES = tuple(
    f"ours {what} {mode}" for what in ("sizes", "curve") for mode in ("off", *_FP8_MODES)
)
CARD_BYTES = 24e9  # a 24 GB card, as the default instance has
_NAMES = {
    "trainer padded": "HF Trainer, padded",
    "trainer grouped": "HF Trainer, group_by_length",
    "trl bfd": "TRL packing=bfd, no checkpointing",
    "trl bfd recomputing": "TRL packing=bfd, its defaults",
    "ours fp8 off": "ours, Fp8Mode off",
}
_SPEED_TARGETS = {
    "trainer padded": Target("at least", 2.4),
    "trl bfd": Target("at least", 4),
    "trl bfd recomputing": Target("at least", 4),
}
_MEMORY_TARGETS = dict.fromkeys(
    ("trainer padded", "trl bfd", "trl bfd recomputing"), Target("at most", 0.5)
)
# Relative difference of the losses. The native modes also quantize activations to FP8,
# and native_dx the gradients of the inputs as well.
_LOSS_TOLERANCES = {"storage": 0.005, "native": 0.015, "native_dx": 0.015}

Numbers = Callable[[], tuple[float, float | None]]


def cpu(runner: Runner) -> list[Row]:
    """Return the rows of speed and memory of the small model on this machine's CPU."""
    peers = [case for case in CPU_CASES if case != "ours"]
    rows = [
        guarded(
            f"tokens per CPU-second: {_NAMES[peer]}",
            "tok/s",
            _SPEED_TARGETS.get(peer),
            partial(_speeds, runner, peer),
        )
        for peer in peers
    ]
    rows += [
        guarded(
            f"real tokens of all computed: {_NAMES[peer]}",
            "",
            None,
            partial(_medians, runner, "real_share", peer),
        )
        for peer in PADDED_CASES
    ]
    rows += [
        guarded(
            f"peak RSS: {_NAMES[peer]}",
            "MB",
            _MEMORY_TARGETS.get(peer),
            partial(_medians, runner, "peak_rss_bytes", peer),
        )
        for peer in peers
    ]
    return rows


def equal_loss(runner: Runner, case: str) -> list[Row]:
    """Return the rows of the loss against the unpacked reference's.

    One row is the step whose losses differ most, the other one the last step.
    """
    tolerance = Target("within", 1e-5)

    def furthest() -> tuple[float, float]:
        result = runner.of(case)[0]
        return _furthest(result["ours"], result["reference"])

    def last() -> tuple[float, float]:
        result = runner.of(case)[0]
        return result["ours"][-1], result["reference"][-1]

    return [
        guarded("loss: unpacked reference, furthest step", "nats", tolerance, furthest),
        guarded("loss: unpacked reference, last step", "nats", tolerance, last),
    ]


def fp8(runner: Runner) -> list[Row]:
    """Return the rows of each FP8 mode's bytes and loss curve against those of bfloat16."""
    rows = [
        guarded(
            "bytes of the linears: storage, bfloat16",
            "MB",
            Target("at most", 0.53),
            partial(_fp8_bytes, runner, "linear_bytes", "storage"),
        )
    ]
    rows += [
        guarded(
            f"bytes saved for backward: {mode}, bfloat16",
            "MB",
            Target("within", 1e-3),
            partial(_fp8_bytes, runner, "saved_bytes", mode),
        )
        for mode in _FP8_MODES
    ]
    rows += [
        guarded(
            f"loss of 120 steps, furthest: {mode}, bfloat16",
            "nats",
            Target("within", tolerance),
            partial(_fp8_curves, runner, mode),
        )
        for mode, tolerance in _LOSS_TOLERANCES.items()
    ]
    return rows


def serving(runner: Runner, case: str) -> list[Row]:
    """Return the row of a registered model's completions."""

    def rates() -> tuple[float, float]:
        completions = runner.median(case, "completions")
        together, alone = (runner.median(case, f"{how}_seconds") for how in ("together", "alone"))
        return completions / together, completions / alone

    what = "completions per CPU-second: 32 prompts together, one by one"
    return [guarded(what, "/s", Target("at least", 4), rates)]


def modelled(runner: Runner) -> list[Row]:
    """Return the rows of the memory model.

    One compares it with what torch allocated for the small model, the other one compares its
    prediction for the 3B model with a 24 GB card.
    """

    def small() -> tuple[float, float]:
        predicted = runner.median("ours modelled", "predicted")
        return predicted, runner.median("ours modelled", "counted")

    def large() -> tuple[float, float]:
        return runner.median("ours modelled", "needed_3b"), CARD_BYTES

    return [
        guarded(
            "memory model, small model, 4,096 tokens: predicted, allocated",
            "MB",
            Target("within", 0.1),
            small,
        ),
        guarded(
            "3B, 8,192 packed tokens by that model: needed, a 24 GB card",
            "MB",
            Target("at most", 1),
            large,
        ),
    ]


def streaming(runner: Runner) -> list[Row]:
    """Return the row of peak RSS with ten times the data against once the data."""
    kind = "peak_rss_bytes"
    return [
        guarded(
            "peak RSS of tokenizing and packing: ten times the data, once",
            "MB",
            Target("at most", 1.2),
            lambda: (runner.median(TEN_FOLD, kind), runner.median(ONE_FOLD, kind)),
        )
    ]


def guarded(what: str, unit: str, target: Target | None, numbers: Numbers) -> Row:
    """Return the row of two numbers, or of the reason why a case has no numbers."""
    try:
        ours, peer = numbers()
    except CaseFailed as failed:
        return Row(what, unit, target=target, missing=str(failed))
    return Row(what, unit, ours, peer, target)


def _speeds(runner: Runner, peer: str) -> tuple[float, float]:
    return runner.rate("ours", "cpu_seconds"), runner.rate(peer, "cpu_seconds")


def _medians(runner: Runner, name: str, peer: str) -> tuple[float, float]:
    return runner.median("ours", name), runner.median(peer, name)


def _fp8_bytes(runner: Runner, name: str, mode: str) -> tuple[float, float]:
    return runner.median(f"ours sizes {mode}", name), runner.median("ours sizes off", name)


def _fp8_curves(runner: Runner, mode: str) -> tuple[float, float]:
    losses = runner.of(f"ours curve {mode}")[0]["losses"]
    return _furthest(losses, runner.of("ours curve off")[0]["losses"])


def _furthest(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the pair whose ratio is furthest from 1."""
    return max(zip(ours, theirs, strict=True), key=lambda pair: abs(pair[0] / pair[1] - 1))
