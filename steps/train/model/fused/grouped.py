"""LoRA over one or several linears that share their input, and over the gated MLP's last linear.

    q, k, v = adapted(x, [self.q_proj, self.k_proj, self.v_proj])
    y = adapted_gated(gate, up, self.down_proj)              # down(silu(gate) * up)

What torch would compute linear by linear is computed together:

* One product with all A matrices; the input is quantized once in native mode.
* Gradients of the input are summed by the products themselves, not by additions of their results.
* The gated product is not kept: backward computes it again from gate and up, which are kept anyway.
* Adapters are kept as the float32 parameters, not as copies in bfloat16.

Shapes in this module: an input is (tokens, in), A is (rank, in), B is (out, rank).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from steps.train.model.fused.products import Shared, add_gradient, product

# The linears with adapters of one group: base layers and the adapters' scaling alpha / rank
Group = tuple[tuple[nn.Linear, ...], float]


class _Adapted(torch.autograd.Function):
    """Several linears over one input. `weights`: all A, then all B."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group, *weights: Tensor) -> tuple[Tensor, ...]:
        outputs, low = _forward(x, group, weights)
        ctx.group = group
        ctx.save_for_backward(x, low, *weights)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, low, *weights = ctx.saved_tensors
        found = _backward(gradients, (x, low), ctx.group, weights, needs_x=ctx.needs_input_grad[0])
        return (found[0], None, *found[1])


class _AdaptedGated(torch.autograd.Function):
    """One linear over `silu(gate) * up`. `weights`: A and B."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, group: Group, *weights: Tensor) -> Tensor:
        (output,), low = _forward(functional.silu(gate).mul_(up), group, weights)
        ctx.group = group
        ctx.save_for_backward(gate, up, low, *weights)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gate, up, low, *weights = ctx.saved_tensors
        activated = functional.silu(gate)
        x = activated * up
        of_x, of_weights = _backward(gradients, (x, low), ctx.group, weights, needs_x=True)
        del x
        assert of_x is not None  # noqa: S101 - for the type checker
        of_up = activated.mul_(of_x)
        of_x.mul_(up)
        of_gate = torch.ops.aten.silu_backward.grad_input(of_x, gate, grad_input=of_x)
        return (of_gate, of_up, None, *of_weights)


def _forward(x: Tensor, group: Group, weights: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Return each linear's output, and x's products with all A: (tokens, linears · rank)."""
    bases, scaling = group
    downs, ups = _halves(weights, x.dtype)
    low = x @ _stacked(downs).t()
    shared, outputs = Shared(x), []
    for base, up, part in zip(bases, ups, low.chunk(len(bases), 1), strict=True):
        outputs.append(product(base, shared).addmm_(part, up.t(), alpha=scaling))
    return outputs, low


def _backward(
    gradients: Sequence[Tensor],
    inputs: tuple[Tensor, Tensor],
    group: Group,
    weights: Sequence[Tensor],
    *,
    needs_x: bool,
) -> tuple[Tensor | None, list[Tensor]]:
    """Return the gradients of x, if it is needed, and of all A and all B."""
    (x, low), (bases, scaling) = inputs, group
    downs, ups = _halves(weights, x.dtype)
    lows = low.chunk(len(bases), 1)
    of_ups = [
        _scaled_float(gradient.t() @ part, scaling)
        for gradient, part in zip(gradients, lows, strict=True)
    ]
    of_low = torch.cat([g @ up for g, up in zip(gradients, ups, strict=True)], 1).mul_(scaling)
    of_downs = (of_low.t() @ x).float().chunk(len(bases))
    of_x = None
    if needs_x:
        of_x = of_low @ _stacked(downs)
        for base, gradient in zip(bases, gradients, strict=True):
            of_x = add_gradient(base, gradient, of_x)
    return of_x, [*of_downs, *of_ups]


def _halves(weights: Sequence[Tensor], dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    cast = [weight.to(dtype) for weight in weights]
    return cast[: len(cast) // 2], cast[len(cast) // 2 :]


def _stacked(matrices: list[Tensor]) -> Tensor:
    return matrices[0] if len(matrices) == 1 else torch.cat(matrices)


def _scaled_float(matrix: Tensor, factor: float) -> Tensor:
    return matrix.float().mul_(factor)


def adapted(x: Tensor, group: Group, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return the output of each adapted linear over `x`.

    Args:
        x: (…, in).
        group: the frozen linears, and alpha / rank.
        weights: all A, then all B.
    """
    apply: Any = _Adapted.apply  # torch has no types here
    flat = _cast(x).reshape(-1, x.shape[-1])
    outputs: tuple[Tensor, ...] = apply(flat, group, *weights)
    return tuple(output.view(*x.shape[:-1], -1) for output in outputs)


def adapted_gated(gate: Tensor, up: Tensor, group: Group, weights: Sequence[Tensor]) -> Tensor:
    """Return the adapted linear over `silu(gate) * up`, both (…, in)."""
    apply: Any = _AdaptedGated.apply  # torch has no types here
    flat = (_cast(part).reshape(-1, part.shape[-1]) for part in (gate, up))
    output: Tensor = apply(*flat, group, *weights)
    return output.view(*gate.shape[:-1], -1)


def _cast(x: Tensor) -> Tensor:
    """Return x in the dtype of autocast, which does not see into a function of our own."""
    if torch.is_autocast_enabled(x.device.type):
        return x.to(torch.get_autocast_dtype(x.device.type))
    return x
