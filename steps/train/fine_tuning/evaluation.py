"""Compute the loss on held-out examples, in nats per target token.

    found = evaluate(model, rows, precision, rows_at_once=4, stop=stop)
    found.loss, found.by_year["2019"].loss, found.by_group["finance"].tokens, found.by_family

The mean is weighted by token, so it does not depend on which documents share a batch. Trainer's own
eval_loss is a mean of batch means and does. The loss is also reported by filing year and by company
group; the parts of each of these two partitions sum to the whole.
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
    """The loss over some documents. Read it together with `tokens`, which may be few.

    Attributes:
        loss: mean negative log likelihood, in nats per target token.
        tokens: target tokens.
    """

    loss: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """exp(loss); infinite where that overflows."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


@dataclass(frozen=True)
class Evaluation(Part):
    """The loss over all documents, and by filing year, company group and family.

    One year and one group are `unknown`; documents without a family are in none. `sample` is the
    part of the documents that the evaluations on the way measure, None where none was asked for.
    """

    by_year: dict[str, Part] = field(default_factory=dict)
    by_group: dict[str, Part] = field(default_factory=dict)
    by_family: dict[str, Part] = field(default_factory=dict)
    sample: Part | None = None

    @property
    def on_sample(self) -> Part:
        """The loss to compare with those of the evaluations on the way."""
        return self.sample or self


@dataclass(frozen=True)
class Marked:
    """Rows, and the example ids of those documents whose loss is returned as the sample's too."""

    rows: Sequence[Row]
    sample: frozenset[str] = frozenset()


# Each document with the summed negative log likelihood of its target tokens, in nats.
Losses = Iterable[tuple[Document, float]]


@torch.no_grad()
def evaluate(
    model: nn.Module,
    rows: Sequence[Row] | Marked,
    precision: Precision,
    *,
    rows_at_once: int,
    stop: StopSignal,
) -> Evaluation:
    """Return the loss of `model` on every document of `rows`. Every process must call this.

    Raises:
        Stopped: SIGTERM was received.
    """
    model.eval()
    marked = rows if isinstance(rows, Marked) else Marked(rows)
    group, mine = processes.here(), _LossSums(marked.sample)
    for part, counts in group.share(marked.rows, rows_at_once):
        stop.check()
        losses = document_losses(model, part, precision)
        if counts:
            mine.add(losses)
    total = _LossSums(marked.sample)
    for sums in group.gather(mine):
        total.join(sums)
    return total.evaluation()


@torch.no_grad()
def document_losses(model: nn.Module, rows: Sequence[Row], precision: Precision) -> Losses:
    """Return the loss of each document of `rows`, computed in one pass."""
    documents = [document for row in rows for document in row]
    with autocast(precision):
        nll = model(**on_device(collate(rows), precision), by_token=True).loss  # (target tokens,)
    each = nll.double().cpu().split([document.target_tokens for document in documents])
    return zip(documents, (tokens.sum().item() for tokens in each), strict=True)


@dataclass
class _LossSum:
    """Summed negative log likelihood, in nats, and the number of target tokens."""

    nll: float = 0.0
    tokens: int = 0

    def add(self, nll: float, tokens: int) -> None:
        self.nll += nll
        self.tokens += tokens

    @property
    def loss(self) -> float:
        return self.nll / self.tokens


@dataclass
class _LossSums:
    """Sums over the documents that one process has evaluated, in all and by part."""

    ids: frozenset[str]  # of the documents that are also in the sample
    whole: _LossSum = field(default_factory=_LossSum)
    sample: _LossSum = field(default_factory=_LossSum)
    by_year: defaultdict[str, _LossSum] = field(default_factory=lambda: defaultdict(_LossSum))
    by_group: defaultdict[str, _LossSum] = field(default_factory=lambda: defaultdict(_LossSum))
    by_family: defaultdict[str, _LossSum] = field(default_factory=lambda: defaultdict(_LossSum))

    def add(self, losses: Losses) -> None:
        """Add these documents."""
        for document, nll in losses:
            year = UNKNOWN if document.year is None else str(document.year)
            totals = [self.whole, self.by_year[year], self.by_group[document.group]]
            totals += [self.by_family[document.family]] if document.family else []
            totals += [self.sample] if document.example_id in self.ids else []
            for total in totals:
                total.add(nll, document.target_tokens)

    def join(self, other: "_LossSums") -> None:
        """Add the sums of another process."""
        self.whole.add(other.whole.nll, other.whole.tokens)
        self.sample.add(other.sample.nll, other.sample.tokens)
        for ours, theirs in (
            (self.by_year, other.by_year),
            (self.by_group, other.by_group),
            (self.by_family, other.by_family),
        ):
            for name, total in theirs.items():
                ours[name].add(total.nll, total.tokens)

    def evaluation(self) -> Evaluation:
        """Return the means."""
        return Evaluation(
            self.whole.loss,
            self.whole.tokens,
            _parts(self.by_year),
            _parts(self.by_group),
            _parts(self.by_family),
            Part(self.sample.loss, self.sample.tokens) if self.sample.tokens else None,
        )


def _parts(sums: dict[str, _LossSum]) -> dict[str, Part]:
    return {
        name: Part(total.loss, total.tokens) for name, total in sorted(sums.items()) if total.tokens
    }


def on_device(batch: dict[str, Tensor | int], precision: Precision) -> dict[str, Tensor | int]:
    """Return the batch with its tensors on the model's device."""
    device = precision.device.torch_device
    return {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }


def autocast(precision: Precision) -> torch.autocast:
    """Return autocast for float32 adapters over a bfloat16 base; disabled for a float32 base."""
    return torch.autocast(
        precision.device.torch_device.type, torch.bfloat16, enabled=precision.autocast
    )
