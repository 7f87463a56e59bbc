"""Floating-point operations that one LoRA step needs: what MFU (model FLOPs utilization) is a share of.

    MFU = of_step(shape, rank, Tokens.of(documents)).total / seconds / devices.peak_flops(name)

Forward, and backward without the weights' gradients, which a frozen base does not have: a linear costs 2 operations a
weight and token in each direction, an adapter 2 forward and 4 backward, attention's two products 2 forward and 4
backward. Operations that are done again to save memory (recomputed layers, flash attention's backward) do not count:
they are a cost of the implementation, not of the model. The usual 6 × parameters overstates a LoRA step by half.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from steps.train.data.packing import Document
from steps.train.planning.shapes import Shape


@dataclass(frozen=True)
class Tokens:
    """What went through the model: tokens, (query, key) pairs that causal attention looks at, and labelled tokens."""

    tokens: int
    pairs: int
    labelled: int

    @classmethod
    def of(cls, documents: Iterable[Document]) -> "Tokens":
        """Each token attends to itself and to its own document's tokens before it."""
        counted = [(len(d), len(d) * (len(d) + 1) // 2, d.target_tokens) for d in documents]
        return cls(*map(sum, zip(*counted, strict=True))) if counted else cls(0, 0, 0)

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.tokens + other.tokens, self.pairs + other.pairs, self.labelled + other.labelled
        )


@dataclass(frozen=True)
class Flops:
    """Operations of forward and backward, by part."""

    linears: int
    adapters: int
    attention: int
    head: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.linears + self.adapters + self.attention + self.head


def of_step(shape: Shape, rank: int, tokens: Tokens) -> Flops:
    """The operations of one training step over `tokens` with adapters of this rank."""
    d, q, k = shape.hidden, shape.queries, shape.keys
    # nothing is trained below the first layer's q, k and v: their inputs need no gradient
    first, first_down = d * (q + 2 * k), 3 * d * rank
    return Flops(
        linears=2 * tokens.tokens * (2 * shape.layers * shape.layer_weights - first),
        adapters=2 * tokens.tokens * (3 * shape.layers * shape.adapter_weights(rank) - first_down),
        attention=3 * shape.layers * 4 * q * tokens.pairs,
        head=4
        * shape.embedding
        * tokens.labelled,  # the gradient of the hidden states is made with the loss
    )
