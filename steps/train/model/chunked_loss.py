"""Cross-entropy over completion tokens only, a chunk of logits at a time.

With Ministral's 131,072 tokens of vocabulary the logits of 8,192 positions and their gradients take about 13 GB. Here
the head sees only positions that carry a label, never more than `CHUNK_LOGITS` logits exist at once, and the gradient
of the hidden states is made in forward, while the logits are there. The head is frozen (tied to the frozen embedding),
so it needs no gradient.
"""

from typing import Any

import torch
from torch import Tensor

from steps.train.data.packing import IGNORED
from steps.train.planning.memory import CHUNK_LOGITS


class _ChunkedNll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, rows: int) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for start in range(0, len(targets), rows):
            part = slice(start, start + rows)
            logits = (hidden[part] @ head.t()).float()  # (rows, vocabulary)
            lse = logits.logsumexp(-1)
            total += (lse - logits.gather(1, targets[part, None])[:, 0]).sum()
            if gradient is not None:  # softmax minus one-hot, in the logits' own memory
                logits.sub_(lse[:, None]).exp_()
                logits.scatter_add_(1, targets[part, None], torch.full_like(lse[:, None], -1.0))
                gradient[part] = logits.to(head.dtype) @ head
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (hidden_gradient,) = ctx.saved_tensors
        return hidden_gradient * gradients[0].to(hidden_gradient.dtype), None, None, None


@torch.no_grad()
def token_nll(
    hidden: Tensor, head: Tensor, labels: Tensor, *, chunk_logits: int = CHUNK_LOGITS
) -> Tensor:
    """(labelled tokens,) the negative log likelihood, in nats, of each, in their order; what `completion_nll` sums, but
    for evaluation: without a gradient.
    """
    states, targets, rows = _labelled(hidden, head, labels, chunk_logits)
    nll = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
    for start in range(0, len(targets), rows):
        part = slice(start, start + rows)
        logits = (states[part] @ head.t()).float()  # (rows, vocabulary)
        nll[part] = logits.logsumexp(-1) - logits.gather(1, targets[part, None])[:, 0]
    return nll


def completion_nll(
    hidden: Tensor, head: Tensor, labels: Tensor, *, chunk_logits: int = CHUNK_LOGITS
) -> Tensor:
    """The summed negative log likelihood, in nats, of every labelled token.

    Args:
        hidden: (batch, tokens, width), the last hidden states.
        head: (vocabulary, width), frozen.
        labels: (batch, tokens), unshifted; `IGNORED` where no loss is wanted.
    """
    states, targets, rows = _labelled(hidden, head, labels, chunk_logits)
    nll: Tensor = _ChunkedNll.apply(states, head, targets, rows)  # type: ignore[no-untyped-call]  # torch gives none
    return nll


def _labelled(
    hidden: Tensor, head: Tensor, labels: Tensor, chunk_logits: int
) -> tuple[Tensor, Tensor, int]:
    """The states that predict a labelled token, those tokens, and how many of them make a chunk."""
    targets = labels[:, 1:]
    kept = targets != IGNORED
    return hidden[:, :-1][kept], targets[kept], max(1, chunk_logits // head.shape[0])
