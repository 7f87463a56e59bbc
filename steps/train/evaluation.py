"""Loss on held-out examples, weighted by token: nats per target token, the same for any batch composition.

Trainer's own eval_loss is a mean of batch means, which depends on which examples share a batch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from steps.train.packing import Row, collate
from steps.train.precision import Precision
from steps.train.stopping import StopSignal


@dataclass(frozen=True)
class Share:
    """The same of some of the documents."""

    loss: float
    tokens: int


@dataclass(frozen=True)
class Evaluation:
    """Mean negative log likelihood in nats per target token, over so many of them."""

    loss: float
    tokens: int
    by_year: Mapping[str, Share] = field(default_factory=dict)
    by_group: Mapping[str, Share] = field(default_factory=dict)

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
    for start in range(0, len(rows), rows_at_once):
        stop.check()
        batch = on_device(collate(rows[start : start + rows_at_once]), precision)
        with autocast(precision):
            total += model(**batch, num_items_in_batch=1).loss.item()
        tokens += sum(document.target_tokens for row in rows[start : start + rows_at_once] for document in row)
    return Evaluation(total / tokens, tokens)


def on_device(batch: dict[str, Tensor | int], precision: Precision) -> dict[str, Tensor | int]:
    """The batch where the model is."""
    device = precision.device.torch_device
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}


def autocast(precision: Precision) -> torch.autocast:
    """float32 adapters over a bfloat16 base; nothing on a float32 base."""
    return torch.autocast(precision.device.torch_device.type, torch.bfloat16, enabled=precision.autocast)
