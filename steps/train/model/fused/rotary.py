"""Rotary position embedding with nothing kept but the angles.

    rotate(x, cos, sin) = x * cos + (-x₂, x₁) * sin         x₁, x₂: the halves of each head

A rotation's transpose is the rotation by the opposite angle, so backward needs no input.
transformers' form makes five tensors of x's size in forward and seven in backward, this one makes
one in each.
"""

from typing import Any

import torch
from torch import Tensor

from steps.train.model.fused import pieces


class _Rotate(torch.autograd.Function):
    """Shapes: x (batch, tokens, heads, width); cos and sin (batch, tokens, width)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return pieces.rotated(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return pieces.rotated(gradients[0], cos, sin, -1), None, None


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each head of `x` by its position's angles.

    Args:
        x: (batch, tokens, heads, width).
        cos: (batch, tokens, width), whose two halves are equal.
        sin: as cos.
    """
    apply: Any = _Rotate.apply  # torch has no types here
    result: Tensor = apply(x, cos, sin)
    return result
