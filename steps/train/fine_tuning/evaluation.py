"""Loss on held-out examples, weighted by token: nats per target token, the same for any batch composition.

    found = evaluate(model, rows, precision, rows_at_once=4, stop=stop)
    found.loss, found.by_year["2019"].loss, found.by_group["finance"].tokens

Trainer's own eval_loss is a mean of batch means, which depends on which examples share a batch. The same tokens are also
told by filing year and by group of companies; each of the two partitions sums to the whole.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from steps.train.data.document import Document
from steps.train.data.industries import UNKNOWN
from steps.train.data.packing import Row, collate
from steps.train.distributed import processes
from steps.train.model.precision import Precision
from steps.train.stopping import StopSignal


@dataclass(frozen=True)
class Part:
    """Mean negative log likelihood in nats per target token, over so many of them (`tokens` may be few: read both)."""

    loss: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """exp(loss); infinite where that overflows."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


@dataclass(frozen=True)
class Evaluation(Part):
    """The same over all documents, and over those of each filing year and company group (`unknown` is a name, too)."""

    by_year: dict[str, Part] = field(default_factory=dict)
    by_group: dict[str, Part] = field(default_factory=dict)


Measured = tuple[Document, float]  # summed negative log likelihood of its target tokens, in nats


@torch.no_grad()
def evaluate(
    model: nn.Module,
    rows: Sequence[Row],
    precision: Precision,
    *,
    rows_at_once: int,
    stop: StopSignal,
) -> Evaluation:
    """The loss of `model` on every document of `rows`.

    Raises:
        Stopped: SIGTERM came.
    """
    model.eval()
    me, mine = processes.here(), _Sums()
    for part, counts in me.share(rows, rows_at_once):
        stop.check()
        measured = measure(model, part, precision)
        if counts:
            mine.add(measured)
    total = _Sums()
    for sums in me.gather(mine):
        total.join(sums)
    return total.evaluation()


@torch.no_grad()
def measure(model: nn.Module, rows: Sequence[Row], precision: Precision) -> Iterable[Measured]:
    """Each document of one pass with its negative log likelihood."""
    documents = [document for row in rows for document in row]
    with autocast(precision):
        nll = model(**on_device(collate(rows), precision), by_token=True).loss  # (target tokens,)
    each = nll.double().cpu().split([document.target_tokens for document in documents])
    return zip(documents, (tokens.sum().item() for tokens in each), strict=True)


@dataclass
class _Sum:
    """Of negative log likelihoods, in nats."""

    nll: float = 0.0
    tokens: int = 0

    def add(self, nll: float, tokens: int) -> None:
        self.nll += nll
        self.tokens += tokens

    @property
    def loss(self) -> float:
        return self.nll / self.tokens


@dataclass
class _Sums:
    """Of all documents that one process has measured, and of each part of them."""

    whole: _Sum = field(default_factory=_Sum)
    by_year: defaultdict[str, _Sum] = field(default_factory=lambda: defaultdict(_Sum))
    by_group: defaultdict[str, _Sum] = field(default_factory=lambda: defaultdict(_Sum))

    def add(self, measured: Iterable[Measured]) -> None:
        """Count these documents."""
        for document, nll in measured:
            year = UNKNOWN if document.year is None else str(document.year)
            for total in (self.whole, self.by_year[year], self.by_group[document.group]):
                total.add(nll, document.target_tokens)

    def join(self, other: "_Sums") -> None:
        """Count what another process has measured."""
        self.whole.add(other.whole.nll, other.whole.tokens)
        for ours, theirs in ((self.by_year, other.by_year), (self.by_group, other.by_group)):
            for name, total in theirs.items():
                ours[name].add(total.nll, total.tokens)

    def evaluation(self) -> Evaluation:
        """Their means."""
        return Evaluation(
            self.whole.loss, self.whole.tokens, _parts(self.by_year), _parts(self.by_group)
        )


def _parts(sums: dict[str, _Sum]) -> dict[str, Part]:
    return {
        name: Part(total.loss, total.tokens) for name, total in sorted(sums.items()) if total.tokens
    }


def on_device(batch: dict[str, Tensor | int], precision: Precision) -> dict[str, Tensor | int]:
    """The batch where the model is."""
    device = precision.device.torch_device
    return {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }


def autocast(precision: Precision) -> torch.autocast:
    """float32 adapters over a bfloat16 base; nothing on a float32 base."""
    return torch.autocast(
        precision.device.torch_device.type, torch.bfloat16, enabled=precision.autocast
    )
