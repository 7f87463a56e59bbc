"""Which code a tensor takes, that of a GPU or that of the CPU, and torch's kernels for the former.

`scripts.roofline` counts the operations of the GPU's code on a machine without one. It replaces
`on_cuda`, and `rms_norm`, which torch runs as one kernel on CUDA and as several on the CPU. So the
code that it counts is the code that trains.
"""

import torch
from torch import Tensor


def on_cuda(tensor: Tensor) -> bool:
    """Return whether this tensor is on a CUDA device."""
    return tensor.is_cuda


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return `weight * x / rms(x)` over the last dimension, and 1 / rms(x) as (…, 1), float32."""
    normed, inverse = torch.ops.aten._fused_rms_norm(x, [x.shape[-1]], weight, eps)
    return normed, inverse


def rms_norm_gradient(gradient: Tensor, x: Tensor, weight: Tensor, inverse: Tensor) -> Tensor:
    """Return the gradient of `rms_norm`'s input."""
    backward = torch.ops.aten._fused_rms_norm_backward
    found: Tensor = backward(gradient, x, [x.shape[-1]], inverse, weight, [True, False])[0]
    return found
