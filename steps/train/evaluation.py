"""Loss on held-out examples, weighted by token: nats per target token, the same for any batch composition.

Trainer's own eval_loss is a mean of batch means, which depends on which examples share a batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from steps.train import processes
from steps.train.packing import Row, collate
from steps.train.precision import Precision
from steps.train.stopping import StopSignal


@dataclass(frozen=True)
class Evaluation:
    """Mean negative log likelihood in nats per target token, over so many of them."""

    loss: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """exp(loss); infinite where that overflows."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


@torch.no_grad()
def evaluate(
    model: nn.Module, rows: Sequence[Row], precision: Precision, *, rows_at_once: int, stop: StopSignal
) -> Evaluation:
    """The loss of `model` on every document of `rows`.

    Raises:
        Stopped: SIGTERM came.
    """
    model.eval()
    total, tokens = 0.0, 0
    me = processes.here()
    for part, counts in me.share(rows, rows_at_once):
        stop.check()
        batch = on_device(collate(part), precision)
        with autocast(precision):
            nll = model(**batch, num_items_in_batch=1).loss.item()
        if counts:
            total += nll
            tokens += sum(document.target_tokens for row in part for document in row)
    parts = me.gather((total, tokens))
    tokens = sum(number for _, number in parts)
    return Evaluation(sum(nll for nll, _ in parts) / tokens, tokens)


def on_device(batch: dict[str, Tensor | int], precision: Precision) -> dict[str, Tensor | int]:
    """The batch where the model is."""
    device = precision.device.torch_device
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}


def autocast(precision: Precision) -> torch.autocast:
    """float32 adapters over a bfloat16 base; nothing on a float32 base."""
    return torch.autocast(precision.device.torch_device.type, torch.bfloat16, enabled=precision.autocast)
