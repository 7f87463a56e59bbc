"""Causal attention inside each packed document, never across two.

transformers hands `cu_seq_lens_q` (where documents begin, on the packed row) through to this function. On CUDA one
varlen kernel does all documents (`torch.nn.attention.varlen`, sm_80 and up, no flash-attn wheel); elsewhere SDPA runs
per document, which unlike a dense block mask is not quadratic in the packed row.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

NAME = "packed_varlen"


# its loop over documents would be compiled anew for every row
@torch.compiler.disable  # type: ignore[untyped-decorator]  # torch gives it no types
def packed_attention(
    module: nn.Module,
    query: Tensor,  # (1, heads, tokens, width)
    key: Tensor,  # (1, key heads, tokens, width)
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """transformers' attention signature; (batch, tokens, heads, width) back. No mask is ever looked at.

    Raises:
        ValueError: a batch or a mask that this function would silently get wrong.
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
    if query.is_cuda:
        return _attend_cuda((query, key, value), scaling, cu_seq_lens_q, max_length_q), None
    starts = cu_seq_lens_q.tolist()
    documents = [
        _attend_plain(query[:, :, a:b], key[:, :, a:b], value[:, :, a:b], scaling)
        for a, b in pairwise(starts)
    ]
    return torch.cat(documents, 2).transpose(1, 2).contiguous(), None


def _attend_plain(query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
    """One causal document, or one new token over a cache."""
    if query.shape[2] not in (1, key.shape[2]):
        raise ValueError(
            f"{NAME}: expected one new token or a whole document, got {query.shape[2]} of {key.shape[2]}"
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
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = (
        state[0].transpose(0, 1).contiguous() for state in states
    )  # (tokens, heads, width)
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
    assert isinstance(attended, Tensor)  # noqa: S101 - a pair only when return_aux is asked for
    return attended[None]


def _no_mask(*_: Any, **__: Any) -> None:
    """Documents are separated by their lengths, so no mask is built (a dense one would take tokens² bytes)."""


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, _no_mask)
