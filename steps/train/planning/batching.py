"""How one optimizer step is cut so that it fits the device: rows at once, passes, and layers that recompute.

    batching = decide(device, 2048, plan=plan)        then, after an out-of-memory answer:  batching.smaller()

An optimizer step is always `ROWS_PER_STEP` rows, so the same parameters mean the same training on every device; with
more ranks than that, it is one row a rank. What the device decides is how many rows of its share a rank takes at once;
the rest is gradient accumulation, which is exact (token-weighted). Recomputed activations are the same, bit for bit.
"""

from dataclasses import dataclass, replace

import torch

from steps.governance.errors import UsageError
from steps.train.model.precision import Device
from steps.train.planning import memory
from steps.train.planning.memory import Plan

ROWS_PER_STEP = 4
_CPU_TOKENS = 2048  # at once on CPU: enough to amortize decoding, little enough for the caches
# Of a device's memory, a tenth is left alone: the memory model's tested error. So is what it does not count: the CUDA
# context, the libraries' workspaces and what the allocator loses to fragments, bytes [unverified].
MARGIN, UNCOUNTED_BYTES = 0.10, 2**30
# A pass costs what it computes, in forwards (a LoRA step is 2.11 of them, reference/training.md §5; a recomputed layer
# is its share of one more), and what every pass costs however small it is: decoding the weights and starting the kernels,
# as much as the forward of about so many tokens (arithmetic for A10G to H100: 262 to 671) [unverified].
_STEP_FORWARDS, _PASS_TOKENS = 2.11, 512


@dataclass(frozen=True)
class Batching:
    """Rows at once, passes per optimizer step (both of one rank), and how many layers recompute, of how many."""

    micro_rows: int
    accumulation: int
    recomputed_layers: int
    decoder_layers: int

    def smaller(self) -> "Batching | None":
        """The next smaller one with the same optimizer step: fewer rows at once, then more recomputed layers (a quarter
        of all each time), then None: nothing smaller trains the same.
        """
        if self.micro_rows > 1:
            rows = max(n for n in range(1, self.micro_rows) if self.micro_rows % n == 0)
            return replace(
                self, micro_rows=rows, accumulation=self.accumulation * self.micro_rows // rows
            )
        if self.recomputed_layers < self.decoder_layers:
            more = self.recomputed_layers + max(1, self.decoder_layers // 4)
            return replace(self, recomputed_layers=min(more, self.decoder_layers))
        return None


def decide(device: Device, sequence_length: int, *, plan: Plan, ranks: int = 1) -> Batching:
    """The fastest batching that fits this device, on each of `ranks` devices like it.

    Raises:
        UsageError: not even one row fits with every layer recomputed.
    """
    share = rows_per_step(ranks) // ranks
    layers = plan.shape.layers
    divisors = [rows for rows in range(share, 0, -1) if share % rows == 0]
    if device.capability is None:  # a machine's memory is not the job's to plan with
        rows = next((rows for rows in divisors if rows * sequence_length <= _CPU_TOKENS), 1)
        return Batching(rows, share // rows, 0, layers)
    total = torch.cuda.get_device_properties(device.torch_device).total_memory
    return fit(plan, sequence_length, divisors=divisors, budget=budget_bytes(total))


def rows_per_step(ranks: int) -> int:
    """Rows of one optimizer step over all ranks: `ROWS_PER_STEP`, or the next number that all ranks share alike."""
    return -(-max(ROWS_PER_STEP, ranks) // ranks) * ranks


def budget_bytes(total_bytes: int) -> int:
    """What of a device's memory the memory model may fill."""
    return round(total_bytes * (1 - MARGIN)) - UNCOUNTED_BYTES


def fit(plan: Plan, sequence_length: int, *, divisors: list[int], budget: int) -> Batching:
    """The fastest of all ways to cut max(divisors) rows that stays within `budget` bytes.

    Raises:
        UsageError: none does.
    """
    share, layers = max(divisors), plan.shape.layers
    ways = []
    for rows in divisors:
        recomputed = fewest_recomputed(plan, rows * sequence_length, budget)
        if recomputed is not None:
            ways.append(Batching(rows, share // rows, recomputed, layers))
    if not ways:
        need = memory.peak(plan, sequence_length, recomputed=layers).total
        raise UsageError(
            "this fine-tune does not fit the device",
            expected=f"a device that leaves {need / 2**30:.1f} GiB for one row of {sequence_length} tokens",
            got=f"{budget / 2**30:.1f} GiB",
            do="lower SequenceLength, use a smaller optimizer state (Optimizer adamw_8bit), or another TrainInstanceType",
        )
    return min(ways, key=lambda way: _cost(way, sequence_length))


def fewest_recomputed(plan: Plan, tokens: int, budget: int) -> int | None:
    """How few layers may recompute so that a pass over `tokens` stays within `budget`; None if even all are too few."""
    fitting = (
        layers
        for layers in range(plan.shape.layers + 1)
        if memory.peak(plan, tokens, recomputed=layers).total <= budget
    )
    return next(fitting, None)


def _cost(batching: Batching, sequence_length: int) -> float:
    """Time of one token, in forwards."""
    recomputed = batching.recomputed_layers / batching.decoder_layers
    return _STEP_FORWARDS + recomputed + _PASS_TOKENS / (batching.micro_rows * sequence_length)
