"""Causal attention within each packed document, and none between documents.

A packed row holds several documents, one after the other. Its batch size is 1, so tensors have the
shape (1, heads, tokens, width), and `cu_seq_lens_q` holds the cumulative lengths of the documents:
document i has the tokens from `cu_seq_lens_q[i]` to `cu_seq_lens_q[i + 1]`. transformers passes
this tensor through to the attention function.

On CUDA one varlen kernel processes all documents (`torch.nn.attention.varlen`, for compute
capability 8.0 and higher; it needs no flash-attn package). Elsewhere SDPA runs once per document:
its cost is quadratic in the length of each document, while with a dense block mask it would be
quadratic in the length of the row.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

from steps.train.model import branch

NAME = "packed_varlen"


# Not compiled: the loop over documents would be recompiled for every row.
@torch.compiler.disable  # type: ignore[untyped-decorator]  # torch has no types here
def packed_attention(
    module: nn.Module,
    query: Tensor,  # (1, heads, tokens, width)
    key: Tensor,  # (1, key heads, tokens, width)
    value: Tensor,  # (1, key heads, tokens, width)
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    cu_seq_lens_q: Tensor | None = None,  # (documents + 1,)
    max_length_q: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend within documents; the signature is that of transformers' attention functions.

    Without `cu_seq_lens_q`, as in generation, the row is one document.

    Returns:
        (1, tokens, heads, width), and None for the attention weights.

    Raises:
        ValueError: there is a mask, a batch of several rows, or a cache with packed documents.
    """
    if attention_mask is not None:
        raise ValueError(
            f"{NAME}: expected no attention mask, got one of shape {tuple(attention_mask.shape)}"
        )
    if cu_seq_lens_q is None:
        return _attend_plain(query, key, value, scaling).transpose(1, 2).contiguous(), None
    if query.shape[0] != 1 or query.shape[2] != key.shape[2]:
        raise ValueError(
            f"{NAME}: expected one packed row without cache, got query {tuple(query.shape)}"
        )
    if branch.on_cuda(query):
        return _attend_cuda((query, key, value), scaling, cu_seq_lens_q, max_length_q), None
    return _attend_each((query, key, value), scaling, cu_seq_lens_q.diff().tolist()), None


def _attend_each(
    states: tuple[Tensor, Tensor, Tensor], scaling: float | None, lengths: list[int]
) -> Tensor:
    """Attend over one document after the other with SDPA: (1, tokens, heads, width)."""
    # Split and not sliced: the gradient of each slice would be a tensor of the whole row.
    split = (state.split(lengths, 2) for state in states)
    documents = [_attend_plain(q, k, v, scaling) for q, k, v in zip(*split, strict=True)]
    return torch.cat(documents, 2).transpose(1, 2).contiguous()


def _attend_plain(query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
    """Attend over one document, or from one new token over a cache, with SDPA."""
    new, known = query.shape[2], key.shape[2]
    if new not in (1, known):
        raise ValueError(
            f"{NAME}: expected one new token or a whole document, got {new} of {known}"
        )
    return functional.scaled_dot_product_attention(
        query,
        key,
        value,
        is_causal=query.shape[2] > 1,
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _attend_cuda(
    states: tuple[Tensor, Tensor, Tensor],
    scaling: float | None,
    cu_seq_lens: Tensor,
    max_length: int | None,
) -> Tensor:
    """Attend within all documents of a row with the varlen kernel: (1, tokens, heads, width)."""
    from torch.nn.attention.varlen import varlen_attn

    # (1, heads, tokens, width) → (tokens, heads, width)
    query, key, value = (state.squeeze(0).transpose(0, 1).contiguous() for state in states)
    longest = len(query) if max_length is None else max_length
    causal = (-1, 0)  # any number of keys to the left, none to the right
    attended = varlen_attn(
        query,
        key,
        value,
        cu_seq_lens,
        cu_seq_lens,
        longest,
        longest,
        scale=scaling,
        window_size=causal,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    assert isinstance(attended, Tensor)  # noqa: S101 - it is a pair only with return_aux
    return attended[None]


# No mask function is registered, so transformers builds no mask: lengths separate the documents,
# and a dense mask would take tokens² bytes. With a function it would also look for borders in the
# positions, which waits for the GPU in every forward.
AttentionInterface.register(NAME, packed_attention)
