"""Choose which decoder layers recompute their activations in backward instead of keeping them.

    apply(model, 10)      the first 10 decoder layers recompute, the others keep

Recomputing a layer costs one more forward of it; keeping its activations costs memory (see
planning/memory.py). planning/batching.py therefore recomputes as few layers as possible. It selects
the first ones: backward starts at the last layer, so when the first layers are recomputed, the
others have released what they kept, and the two never add up.

transformers' decoder layers have this switch one by one, but its Trainer can only turn it on for
all of them. So Trainer's own activation checkpointing stays off.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer


def decoder_layers(model: nn.Module) -> list[GradientCheckpointingLayer]:
    """Return the decoder layers of a model, with or without adapters, first to last."""
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


def apply(model: nn.Module, layers: int) -> None:
    """Make the first `layers` decoder layers recompute their activations, and no other.

    Raises:
        ValueError: the model has fewer layers.
    """
    found = decoder_layers(model)
    if not 0 <= layers <= len(found):
        raise ValueError(f"expected 0 to {len(found)} recomputed layers, got {layers}")
    for index, layer in enumerate(found):
        layer.gradient_checkpointing = index < layers
        layer._gradient_checkpointing_func = _recompute


# dynamo must not trace this function: in torch 2.13 it fails on a custom autograd Function that
# creates a tensor (fp8_linear.py) inside a traced checkpoint. The layer that it calls is compiled
# separately, so recomputation wraps compiled code. (torch has no types for this decorator.)
@torch.compiler.disable(recursive=False)  # type: ignore[untyped-decorator]
def _recompute(layer: Callable[..., Tensor], *inputs: Tensor) -> Any:
    """Run a layer under activation checkpointing.

    Not reentrant: the reentrant variant needs inputs with a gradient, which the first layer does
    not have, and it does not restore autocast and hooks of forward.
    """
    return checkpoint(layer, *inputs, use_reentrant=False)
