"""Which code a tensor takes, that of a GPU or that of the CPU, and the kernels of the former.

`scripts.roofline` counts the operations of the GPU's code on a machine without one. It replaces
`on_cuda`; `rms_norm`, which torch runs as one kernel on CUDA and as several on the CPU; and
`kernels`, whose Triton needs a GPU. So the code that it counts is the code that trains.
"""

import functools
import importlib
import importlib.util
from typing import Any

import torch
from torch import Tensor


def on_cuda(tensor: Tensor) -> bool:
    """Return whether this tensor is on a CUDA device."""
    return tensor.is_cuda


def has_kernels(tensor: Tensor) -> bool:
    """Return whether this tensor takes the kernels of fused/kernels: on CUDA, in bfloat16.

    The compiler fuses plain operations itself.
    """
    is_half = tensor.dtype is torch.bfloat16 and not torch.compiler.is_compiling()
    return is_half and on_cuda(tensor) and _used["kernels"] and has_triton()


_used = {"kernels": True}


def use_kernels(use: bool) -> None:
    """Turn the kernels on or off in this process. choosing/kernel_check.py decides at a start."""
    _used["kernels"] = use


def kernels() -> Any:
    """Return the module that starts them."""
    return importlib.import_module("steps.train.model.fused.kernels.launched")


@functools.cache
def has_triton() -> bool:
    """Return whether this image has Triton."""
    return importlib.util.find_spec("triton") is not None


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return `weight * x / rms(x)` over the last dimension, and 1 / rms(x) as (…, 1), float32."""
    normed, inverse = torch.ops.aten._fused_rms_norm(x, [x.shape[-1]], weight, eps)
    return normed, inverse


def rms_norm_gradient(gradient: Tensor, x: Tensor, weight: Tensor, inverse: Tensor) -> Tensor:
    """Return the gradient of `rms_norm`'s input."""
    backward = torch.ops.aten._fused_rms_norm_backward
    found: Tensor = backward(gradient, x, [x.shape[-1]], inverse, weight, [True, False])[0]
    return found
