"""Which decoder layers keep their activations for backward, and which compute them again.

    apply(model, 10)      the first 10 decoder layers recompute, the others keep

Recomputing a layer costs one more forward of it; keeping one costs memory (memory.py says how much), so batching.py
recomputes only as many as it must. It is the first ones: backward begins at the last, so by the time the first layers
are recomputed what the others kept is gone, and the two never add up.

transformers' decoder layers carry the switch themselves, one by one. Its Trainer can only turn it on for all of them,
so Trainer's own activation checkpointing stays off.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer


def decoder_layers(model: nn.Module) -> list[GradientCheckpointingLayer]:
    """The decoder layers of a model, adapted or not, first to last."""
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


def apply(model: nn.Module, layers: int) -> None:
    """Let the first `layers` decoder layers recompute their activations, and no other; 0 keeps all.

    Raises:
        ValueError: the model has not that many.
    """
    found = decoder_layers(model)
    if not 0 <= layers <= len(found):
        raise ValueError(f"expected 0 to {len(found)} recomputed layers, got {layers}")
    for index, layer in enumerate(found):
        layer.gradient_checkpointing = index < layers
        layer._gradient_checkpointing_func = _recompute


# Not traced into: inside of a traced checkpoint, dynamo 2.13 fails on a custom Function that makes a tensor (fp8.py). What
# it calls is compiled by itself, so recomputing wraps compiled code.
@torch.compiler.disable(recursive=False)  # type: ignore[untyped-decorator]  # torch gives it no types
def _recompute(layer: Callable[..., Tensor], *inputs: Tensor) -> Any:
    """Not reentrant: the first layer's input carries no gradient, and autocast and hooks must be those of forward."""
    return checkpoint(layer, *inputs, use_reentrant=False)
