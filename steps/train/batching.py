"""How many packed rows go through the device at once, and how many make one optimizer step.

An optimizer step is always `ROWS_PER_STEP` rows, so the same parameters mean the same training on every device. What
the device decides is how many of them it takes at once; the rest is gradient accumulation, which is exact
(token-weighted).
"""

from dataclasses import dataclass

import torch

from steps.train.precision import Device

ROWS_PER_STEP = 4
# Tokens at once: on GPU what fits 24 GB with the 3B model checkpointed and fills the GEMMs; on CPU enough to amortize
# decoding, little enough for the caches.
_GPU_TOKENS, _CPU_TOKENS = 8192, 2048
_ROOMY_BYTES = 40 * 2**30  # with this much memory the 3B model's activations at 8,192 tokens need no checkpointing


@dataclass(frozen=True)
class Batching:
    """Rows at once, passes per optimizer step, and whether activations are recomputed instead of kept."""

    micro_rows: int
    accumulation: int
    checkpointing: bool

    def smaller(self) -> "Batching | None":
        """What to try when this is too much: half the rows at once, then recomputed activations, then nothing."""
        if self.micro_rows > 1:
            return Batching(self.micro_rows // 2, self.accumulation * 2, self.checkpointing)
        return None if self.checkpointing else Batching(1, self.accumulation, checkpointing=True)


def decide(device: Device, sequence_length: int) -> Batching:
    """The batching for this device and row length; rows × passes = ROWS_PER_STEP."""
    tokens = _CPU_TOKENS if device.capability is None else _GPU_TOKENS
    micro_rows = min(ROWS_PER_STEP, max(1, tokens // sequence_length))
    return Batching(micro_rows, ROWS_PER_STEP // micro_rows, _must_checkpoint(device))


def _must_checkpoint(device: Device) -> bool:
    if device.capability is None:
        return False
    return torch.cuda.get_device_properties(device.torch_device).total_memory < _ROOMY_BYTES
