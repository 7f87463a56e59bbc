"""Products with frozen weights, plain or FP8, for functions that compute their own gradients.

    shared = Shared(x)                                   # quantized once for q, k and v
    y = product(layer, shared)                           # x @ W.T
    gradient = add_gradient(layer, g, gradient)          # + g @ W

Each way to store a weight has its multiplication in fp8_linear.py, which describes them.
"""

import functools

import torch
from torch import Tensor, nn

from steps.train.model import fp8_linear
from steps.train.model.fp8_linear import Fp8Linear


class Shared:
    """One input of several linears: (tokens, in). Its quantized form is computed once."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    @functools.cached_property
    def quantized(self) -> tuple[Tensor, Tensor]:
        """The rows in e4m3 and their scales."""
        return fp8_linear.quantize_rows(self.x)


def product(layer: nn.Linear, shared: Shared) -> Tensor:
    """Return `x @ W.T`, (tokens, out), in the dtype of x."""
    if not isinstance(layer, Fp8Linear):
        return shared.x @ layer.weight.t().to(shared.x.dtype)
    if layer.native:
        columns = layer.weight.view(fp8_linear.E4M3).t()
        y = fp8_linear.multiply_native(shared.quantized, columns, layer.scale)
        return y.to(shared.x.dtype)
    weight = fp8_linear.decode(layer.weight, shared.x.dtype)
    return _scaled(shared.x, weight.t(), layer.factor)


def add_gradient(layer: nn.Linear, gradient: Tensor, to: Tensor | None) -> Tensor:
    """Return `to + gradient @ W`, (tokens, in), written over `to` if it is given."""
    if isinstance(layer, Fp8Linear) and layer.native_gradient:
        columns = fp8_linear.by_column(layer.weight)
        quantized = fp8_linear.quantize_rows(gradient)
        y = fp8_linear.multiply_native(quantized, columns, layer.scale).to(gradient.dtype)
        return y if to is None else to.add_(y)
    factor, weight = 1.0, layer.weight.detach()
    if isinstance(layer, Fp8Linear):
        factor, weight = layer.factor, fp8_linear.decode(weight, gradient.dtype)
    weight = weight.to(gradient.dtype)
    if to is not None:
        return to.addmm_(gradient, weight, alpha=factor)
    return _scaled(gradient, weight, factor)


def folds(layer: nn.Linear, x: Tensor) -> bool:
    """Return whether adding an adapter to the weight is cheaper than adding its product.

    It then costs a pass over (out, in) instead of one over (tokens, out). Only in float32: in
    bfloat16 the sum would round most of the adapter away.
    """
    native = isinstance(layer, Fp8Linear) and layer.native
    return x.dtype is torch.float32 and not native and len(x) > layer.in_features


def with_adapter(layer: nn.Linear, up: Tensor, down: Tensor, scaling: float) -> Tensor:
    """Return `W + up @ down * scaling`, (out, in), a new tensor in the dtype of `up`."""
    if isinstance(layer, Fp8Linear):
        decoded = fp8_linear.decode(layer.weight, up.dtype)
        return decoded.addmm_(up, down, beta=layer.factor, alpha=scaling)
    return torch.addmm(layer.weight.detach().to(up.dtype), up, down, alpha=scaling)


def _scaled(x: Tensor, columns: Tensor, factor: float) -> Tensor:
    """Return `x @ columns * factor`; the product scales its sums before it rounds them."""
    unread = x.new_empty(columns.shape[1])
    return torch.addmm(unread, x, columns, beta=0, alpha=factor)
