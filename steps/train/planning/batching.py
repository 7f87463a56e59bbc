"""Decide how one optimizer step is divided so that it fits the device.

    batching = decide(device, 2048, plan=plan)
    batching.smaller()                              the next try after an out-of-memory error

An optimizer step always has `ROWS_PER_STEP` rows, so the same parameters give the same training on
every device. With more ranks than that, it has one row per rank. The device only decides how many
rows a rank processes in one pass; gradient accumulation over the other passes is exact, because it
is weighted by tokens. Recomputed activations are equal bit for bit.
"""

from dataclasses import dataclass, replace

from steps.governance.errors import UsageError
from steps.train.planning import memory
from steps.train.planning.devices import Device
from steps.train.planning.memory import Plan

ROWS_PER_STEP = 4
# Tokens of one pass on CPU: enough to amortize decoding, few enough for the caches.
_CPU_TOKENS = 2048
# Device memory that stays free: a tenth, which is the tested error of the memory model, and bytes
# for what the model does not count: the CUDA context, the workspaces of libraries, and
# fragmentation in the allocator [unverified].
MARGIN, UNCOUNTED_BYTES = 0.10, 2**30
# The cost of a pass, in forwards. A LoRA step costs about 2.11 forwards (by the operation counts of
# flops.py for Ministral-3-3B), and a recomputed layer its share of one more. In addition every pass
# decodes the weights and launches the kernels, which costs as much as the forward of about 512
# tokens (calculated for A10G to H100: 262 to 671) [unverified].
STEP_FORWARDS, _PASS_TOKENS = 2.11, 512


@dataclass(frozen=True)
class Batching:
    """How one rank processes its rows of an optimizer step.

    Attributes:
        micro_rows: rows in one pass.
        accumulation: passes per optimizer step.
        recomputed_layers: decoder layers that recompute their activations.
        decoder_layers: decoder layers of the model.
    """

    micro_rows: int
    accumulation: int
    recomputed_layers: int
    decoder_layers: int

    def smaller(self) -> "Batching | None":
        """Return the next batching that takes less memory and trains the same.

        First fewer rows in one pass, then more recomputed layers, a quarter of all at a time. None
        if every layer already recomputes.
        """
        if self.micro_rows > 1:
            rows = max(n for n in range(1, self.micro_rows) if self.micro_rows % n == 0)
            passes = self.accumulation * self.micro_rows // rows
            return replace(self, micro_rows=rows, accumulation=passes)
        if self.recomputed_layers < self.decoder_layers:
            more = self.recomputed_layers + max(1, self.decoder_layers // 4)
            return replace(self, recomputed_layers=min(more, self.decoder_layers))
        return None

    def shrunk(self, times: int) -> "Batching":
        """Return the batching after so many errors, the smallest one at last."""
        batching = self
        for _ in range(times):
            batching = batching.smaller() or batching
        return batching


def decide(device: Device, sequence_length: int, *, plan: Plan, ranks: int = 1) -> Batching:
    """Return the fastest batching that fits this device, for each of `ranks` equal devices.

    Raises:
        UsageError: one row does not fit, even if every layer recomputes.
    """
    share = rows_per_step(ranks) // ranks
    divisors = [rows for rows in range(share, 0, -1) if share % rows == 0]
    if device.capability is None:  # on CPU, memory is not planned: other processes share it
        rows = next((rows for rows in divisors if rows * sequence_length <= _CPU_TOKENS), 1)
        return Batching(rows, share // rows, 0, plan.shape.layers)
    budget = budget_bytes(device.memory_bytes())
    return fit(plan, sequence_length, divisors=divisors, budget=budget)


def rows_per_step(ranks: int) -> int:
    """Return the rows of one optimizer step over all ranks.

    This is `ROWS_PER_STEP`, rounded up to a multiple of the number of ranks.
    """
    return -(-max(ROWS_PER_STEP, ranks) // ranks) * ranks


def budget_bytes(total_bytes: int) -> int:
    """Return how much of a device's memory the memory model may fill."""
    return round(total_bytes * (1 - MARGIN)) - UNCOUNTED_BYTES


def fit(plan: Plan, sequence_length: int, *, divisors: list[int], budget: int) -> Batching:
    """Return the fastest way to process max(divisors) rows that stays within `budget` bytes.

    Args:
        plan: the model and the way it is trained.
        sequence_length: tokens of a row.
        divisors: the numbers of rows that one pass may have.
        budget: bytes.

    Raises:
        UsageError: none fits.
    """
    share, layers = max(divisors), plan.shape.layers
    fitting = []
    for rows in divisors:
        recomputed = fewest_recomputed(plan, rows * sequence_length, budget)
        if recomputed is not None:
            fitting.append(Batching(rows, share // rows, recomputed, layers))
    if not fitting:
        need = memory.peak(plan, sequence_length, recomputed=layers).total
        need_gib = f"{need / 2**30:.1f} GiB"
        raise UsageError(
            "this fine-tune does not fit the device",
            expected=f"a device that leaves {need_gib} for one row of {sequence_length} tokens",
            got=f"{budget / 2**30:.1f} GiB",
            do="lower SequenceLength, use a smaller optimizer state (Optimizer adamw_8bit), "
            "or another TrainInstanceType",
        )
    return min(fitting, key=lambda batching: _cost(batching, sequence_length))


def fewest_recomputed(plan: Plan, tokens: int, budget: int) -> int | None:
    """Return how few layers must recompute so that a pass over `tokens` fits `budget` bytes.

    None if the pass does not fit even when every layer recomputes.
    """
    fitting = (
        layers
        for layers in range(plan.shape.layers + 1)
        if memory.peak(plan, tokens, recomputed=layers).total <= budget
    )
    return next(fitting, None)


def _cost(batching: Batching, sequence_length: int) -> float:
    """Return the time per token, in forwards."""
    recomputed = batching.recomputed_layers / batching.decoder_layers
    return STEP_FORWARDS + recomputed + _PASS_TOKENS / (batching.micro_rows * sequence_length)
