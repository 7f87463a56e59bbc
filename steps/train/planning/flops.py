"""Count the floating-point operations of a LoRA training step. MFU is measured against them.

    MFU = of_step(shape, rank, Tokens.of(documents)).total / seconds / devices.peak_flops(name)

MFU is model FLOPs utilization: operations that the model needs, per second, over the device's peak.

A multiply-add counts as 2 operations. The base is frozen, so backward computes no weight gradients
for it. Per token, a frozen linear costs 2 operations per weight forward and 2 backward; an adapter
costs 2 forward and 4 backward; the two products of attention cost 2 forward and 4 backward per
(query, key) pair and unit of width. What follows attention in the last layer is needed for labelled
tokens only, and counted for these. Operations that are repeated to save memory (recomputed layers,
the backward pass of flash attention) are not counted: they belong to the implementation, not to the
model. The usual rule, 6 operations per parameter and token, overestimates a LoRA step by half.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from steps.train.data.document import Document
from steps.train.planning.shapes import Shape


@dataclass(frozen=True)
class Tokens:
    """Counts of what one pass processes.

    Attributes:
        tokens: all tokens.
        pairs: (query, key) pairs of causal attention.
        labelled: tokens that have a label.
    """

    tokens: int
    pairs: int
    labelled: int

    @classmethod
    def of(cls, documents: Iterable[Document]) -> "Tokens":
        """Count documents. A token attends to itself and to earlier tokens of its document."""
        counted = [(len(d), len(d) * (len(d) + 1) // 2, d.target_tokens) for d in documents]
        return cls(*map(sum, zip(*counted, strict=True))) if counted else cls(0, 0, 0)

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.tokens + other.tokens, self.pairs + other.pairs, self.labelled + other.labelled
        )


@dataclass(frozen=True)
class Flops:
    """Operations of forward and backward, by part of the model."""

    linears: int
    adapters: int
    attention: int
    head: int

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.linears + self.adapters + self.attention + self.head


def of_step(shape: Shape, rank: int, tokens: Tokens) -> Flops:
    """Return the operations of one training step over `tokens`, with adapters of this rank."""
    d, f, q, k = shape.hidden, shape.ffn, shape.queries, shape.keys
    # Nothing is trained below q, k and v of the first layer, so their inputs need no gradient:
    # backward skips one product of each of these linears and of their A matrices.
    first, first_down = d * (q + 2 * k), 3 * d * rank
    # o, gate, up and down of the last layer, and their adapters
    unread = tokens.tokens - tokens.labelled
    last, last_adapters = q * d + 3 * d * f, rank * (q + d + 3 * (d + f))
    linears = 2 * shape.layers * shape.layer_weights - first
    adapters = 3 * shape.layers * shape.adapter_weights(rank) - first_down
    return Flops(
        linears=2 * (tokens.tokens * linears - unread * 2 * last),
        adapters=2 * (tokens.tokens * adapters - unread * 3 * last_adapters),
        attention=3 * shape.layers * 4 * q * tokens.pairs,
        # chunked_loss.py computes the gradient of the hidden states in forward: two products
        head=4 * shape.embedding * tokens.labelled,
    )
