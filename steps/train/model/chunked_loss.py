"""Compute the cross-entropy of completion tokens, one chunk of logits at a time.

With Ministral's vocabulary of 131,072 tokens, the logits of 8,192 positions and their gradients
take about 13 GB. Three measures avoid this:

* The head is applied only to positions that have a label; so is most of the last decoder layer
  (fused/modules.py).
* At most `memory.chunk_rows` positions have logits at once, on a CPU fewer than on a GPU.
* The gradient of the hidden states is computed in forward, while the logits exist. Backward only
  scales it. The gradient of the logits is softmax minus one-hot, so it needs no other tensor.

The head is frozen, tied to the embedding or not, so it needs no gradient.
"""

from typing import Any

import torch
from torch import Tensor

from steps.train.data.packing import IGNORED
from steps.train.model import branch
from steps.train.planning import memory


class _ChunkedNll(torch.autograd.Function):
    """Summed negative log likelihood of `targets`, with the gradient computed in forward.

    Shapes: hidden (labelled, width), head (vocabulary, width), targets (labelled,); `rows`
    positions make a chunk.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, rows: int) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for start in range(0, len(targets), rows):
            part = slice(start, start + rows)
            logits = (hidden[part] @ head.t()).float()  # (rows, vocabulary)
            lse = logits.logsumexp(-1)
            total += (lse - logits.gather(1, targets[part, None])[:, 0]).sum()
            if gradient is not None:  # softmax minus one-hot, in the memory of the logits
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
    states: Tensor, targets: Tensor, *, head: Tensor, chunk_logits: int | None = None
) -> Tensor:
    """Return the negative log likelihood, in nats, of each labelled token, in their order.

    This is for evaluation, without gradients. `completion_nll` returns the sum of these values
    and describes the arguments.

    Returns:
        (labelled tokens,), float32.
    """
    rows = _rows(head, chunk_logits)
    nll = torch.empty(len(targets), dtype=torch.float32, device=states.device)
    for start in range(0, len(targets), rows):
        part = slice(start, start + rows)
        logits = (states[part] @ head.t()).float()  # (rows, vocabulary)
        nll[part] = logits.logsumexp(-1) - logits.gather(1, targets[part, None])[:, 0]
    return nll


def completion_nll(
    states: Tensor, targets: Tensor, *, head: Tensor, chunk_logits: int | None = None
) -> Tensor:
    """Return the summed negative log likelihood, in nats, of all labelled tokens.

    Args:
        states: (labelled, width), the last hidden states that predict them.
        targets: (labelled,), these tokens.
        head: (vocabulary, width), frozen.
        chunk_logits: logits that exist at once; None is as many as suit the device.

    Returns:
        A float32 number.
    """
    rows = _rows(head, chunk_logits)
    apply: Any = _ChunkedNll.apply  # torch has no types here
    nll: Tensor = apply(states, head, targets, rows)
    return nll


def _rows(head: Tensor, chunk_logits: int | None) -> int:
    """Return the positions of a chunk."""
    vocabulary = head.shape[0]
    if chunk_logits is None:
        return memory.chunk_rows(vocabulary, on_cuda=branch.on_cuda(head))
    return max(1, chunk_logits // vocabulary)


def labelled(hidden: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the states that predict a labelled token, and these tokens.

    The state of position t predicts the token at position t + 1. Finding them waits for a GPU.

    Args:
        hidden: (batch, tokens, width), the last hidden states.
        labels: (batch, tokens), unshifted; `IGNORED` where no loss is computed.
    """
    targets = labels[:, 1:]
    kept = targets != IGNORED
    return hidden[:, :-1][kept], targets[kept]
