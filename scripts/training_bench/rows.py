"""From measured cases to rows of the table: which numbers are compared, and what is asked of their ratio.

Targets: issue 3, "What must be seen". tokens are real ones, padding is none.
"""

from collections.abc import Callable, Sequence

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
FP8_CASES = tuple(
    f"ours {what} {mode}"
    for what in ("sizes", "curve")
    for mode in ("off", "storage", "native", "native_dx")
)
_FASTER, _SMALLER = Target("at least", 2.4), Target("at most", 0.5)
CARD_BYTES = 24e9  # the 24 GB of issue 3
_NAMES = {
    "trainer padded": "HF Trainer, padded",
    "trainer grouped": "HF Trainer, group_by_length",
    "trl bfd": "TRL packing=bfd, no checkpointing",
    "trl bfd recomputing": "TRL packing=bfd, its defaults",
    "ours fp8 off": "ours, Fp8Mode off",
}


def cpu(runner: Runner) -> list[Row]:
    """Speed and memory of the small model on this machine's CPU."""
    speed = {
        "trainer padded": _FASTER,
        "trl bfd": Target("at least", 4),
        "trl bfd recomputing": Target("at least", 4),
    }
    memory = dict.fromkeys(("trainer padded", "trl bfd", "trl bfd recomputing"), _SMALLER)
    peers = [case for case in CPU_CASES if case != "ours"]
    rows = [
        guarded(
            f"tokens per CPU-second: {_NAMES[peer]}",
            "tok/s",
            speed.get(peer),
            lambda peer=peer: _speeds(runner, peer),
        )
        for peer in peers
    ]
    rows += [
        guarded(
            f"real tokens of all computed: {_NAMES[peer]}",
            "",
            None,
            lambda peer=peer: _real_shares(runner, peer),
        )
        for peer in PADDED_CASES
    ]
    return rows + [
        guarded(
            f"peak RSS: {_NAMES[peer]}",
            "MB",
            memory.get(peer),
            lambda peer=peer: _peaks(runner, peer),
        )
        for peer in peers
    ]


def equal_loss(runner: Runner, case: str) -> list[Row]:
    """The step whose loss is furthest from the unpacked reference's, and the last one."""
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
    """Bytes and loss curves against bfloat16."""

    def bytes_of(name: str, mode: str) -> tuple[float, float]:
        return runner.median(f"ours sizes {mode}", name), runner.median("ours sizes off", name)

    def curves(mode: str) -> tuple[float, float]:
        return _furthest(
            runner.of(f"ours curve {mode}")[0]["losses"], runner.of("ours curve off")[0]["losses"]
        )

    return [
        guarded(
            "bytes of the linears: storage, bfloat16",
            "MB",
            Target("at most", 0.53),
            lambda: bytes_of("linear_bytes", "storage"),
        ),
        *(
            guarded(
                f"bytes saved for backward: {mode}, bfloat16",
                "MB",
                Target("within", 1e-3),
                lambda mode=mode: bytes_of("saved_bytes", mode),
            )
            for mode in ("storage", "native", "native_dx")
        ),
        guarded(
            "loss of 120 steps, furthest: storage, bfloat16",
            "nats",
            Target("within", 0.005),
            lambda: curves("storage"),
        ),
        *(
            guarded(
                f"loss of 120 steps, furthest: {mode}, bfloat16",
                "nats",
                Target("within", 0.015),
                lambda mode=mode: curves(mode),
            )
            for mode in ("native", "native_dx")
        ),
    ]


def modelled(runner: Runner) -> list[Row]:
    """The memory model against what torch allocated, and what it says of the 3B on a 24 GB card."""

    def small() -> tuple[float, float]:
        return runner.median("ours modelled", "predicted"), runner.median(
            "ours modelled", "counted"
        )

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
    """Peak RSS of ten times the data against once."""
    kind = "peak_rss_bytes"
    return [
        guarded(
            "peak RSS of tokenizing and packing: ten times the data, once",
            "MB",
            Target("at most", 1.2),
            lambda: (runner.median(TEN_FOLD, kind), runner.median(ONE_FOLD, kind)),
        )
    ]


def guarded(
    what: str, unit: str, target: Target | None, numbers: Callable[[], tuple[float, float | None]]
) -> Row:
    """The row of two numbers, or why there are none."""
    try:
        ours, peer = numbers()
    except CaseFailed as failed:
        return Row(what, unit, target=target, missing=str(failed))
    return Row(what, unit, ours, peer, target)


def _speeds(runner: Runner, peer: str) -> tuple[float, float]:
    return runner.rate("ours", "cpu_seconds"), runner.rate(peer, "cpu_seconds")


def _real_shares(runner: Runner, peer: str) -> tuple[float, float]:
    return runner.median("ours", "real_share"), runner.median(peer, "real_share")


def _peaks(runner: Runner, peer: str) -> tuple[float, float]:
    return runner.median("ours", "peak_rss_bytes"), runner.median(peer, "peak_rss_bytes")


def _furthest(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    return max(zip(ours, theirs, strict=True), key=lambda pair: abs(pair[0] / pair[1] - 1))
