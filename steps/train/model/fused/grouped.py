"""LoRA over one or several linears that share their input, and over the gated MLP's last linear.

    q, k, v = adapted(x, [self.q_proj, self.k_proj, self.v_proj])
    y = adapted_gated(gate, up, self.down_proj)              # down(silu(gate) * up)

What torch would compute linear by linear is computed together:

* One product with all A matrices; the input is quantized once in native mode.
* Gradients of the input are summed by the products themselves, not by additions of their results.
* The gated product is not kept: backward computes it again from gate and up, which are kept anyway.
* In float32, where a pass has many tokens, an adapter is added to its weight and not its product to
  the output: a pass over the weight costs less (docs/decisions/063-kernels.md).
* Adapters are kept as the float32 parameters, not as copies in bfloat16.

Shapes in this module: an input is (tokens, in), A is (rank, in), B is (out, rank).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from steps.train.model.fused import pieces, products
from steps.train.model.fused.products import Shared, add_gradient, product

# The linears with adapters of one group: base layers and the adapters' scaling alpha / rank
Group = tuple[tuple[nn.Linear, ...], float]


class _Adapted(torch.autograd.Function):
    """Several linears over one input. `weights`: all A, then all B."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group, *weights: Tensor) -> tuple[Tensor, ...]:
        adapters = _Adapters(group, weights, x)
        outputs, low = adapters.forward(x)
        ctx.group = group
        ctx.save_for_backward(x, low, *weights)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, low, *weights = ctx.saved_tensors
        adapters = _Adapters(ctx.group, weights, x)
        of_low = adapters.of_low(gradients)
        of_x = adapters.of_input(gradients, of_low) if ctx.needs_input_grad[0] else None
        return (of_x, None, *adapters.of_weights(gradients, of_low, (x, low)))


class _AdaptedGated(torch.autograd.Function):
    """One linear over `silu(gate) * up`. `weights`: A and B."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, group: Group, *weights: Tensor) -> Tensor:
        (output,), low = _Adapters(group, weights, gate).forward(pieces.gated(gate, up))
        ctx.group = group
        ctx.save_for_backward(gate, up, low, *weights)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gate, up, low, *weights = ctx.saved_tensors
        adapters = _Adapters(ctx.group, weights, gate)
        of_low = adapters.of_low(gradients)
        # First the gradient of the product, then the product: one kernel has both in its hands.
        x, of_gate, of_up = pieces.gated_gradient(adapters.of_input(gradients, of_low), gate, up)
        return (of_gate, of_up, None, *adapters.of_weights(gradients, of_low, (x, low)))


class _Adapters:
    """The adapters of a group over an input like `x`, and what its forward and backward compute."""

    def __init__(self, group: Group, weights: Sequence[Tensor], x: Tensor) -> None:
        self._bases, self._scaling = group
        cast = [weight.to(x.dtype) for weight in weights]
        self._downs, self._ups = cast[: len(cast) // 2], cast[len(cast) // 2 :]
        self._folds = [products.folds(base, x) for base in self._bases]

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return each linear's output, and x's products with all A: (tokens, linears · rank)."""
        low = x @ _stacked(self._downs).t()
        shared, outputs = Shared(x), []
        for number, part in enumerate(low.chunk(len(self._bases), 1)):
            base, up = self._bases[number], self._ups[number]
            if self._folds[number]:
                outputs.append(x @ self._folded(number).t())
            else:
                added = product(base, shared).addmm_(part, up.t(), alpha=self._scaling)
                outputs.append(added)
        return outputs, low

    def of_low(self, gradients: Sequence[Tensor]) -> Tensor:
        """Return the gradient of x's products with all A."""
        each = [g @ up for g, up in zip(gradients, self._ups, strict=True)]
        return _side_by_side(each).mul_(self._scaling)

    def of_input(self, gradients: Sequence[Tensor], of_low: Tensor) -> Tensor:
        """Return the gradient of x."""
        of_x: Tensor | None = None
        if not all(self._folds):
            of_x = of_low @ _stacked(self._downs)
        for number, gradient in enumerate(gradients):
            if all(self._folds):
                weight = self._folded(number)
                of_x = gradient @ weight if of_x is None else of_x.addmm_(gradient, weight)
            else:
                of_x = add_gradient(self._bases[number], gradient, of_x)
        assert of_x is not None  # noqa: S101 - a group has a linear
        return of_x

    def of_weights(
        self, gradients: Sequence[Tensor], of_low: Tensor, kept: tuple[Tensor, Tensor]
    ) -> list[Tensor]:
        """Return the gradients of all A and all B; `kept` is x and its products with all A."""
        x, low = kept
        of_downs = (of_low.t() @ x).float().chunk(len(self._bases))
        lows = low.chunk(len(self._bases), 1)
        of_ups = [
            (gradient.t() @ part).float().mul_(self._scaling)
            for gradient, part in zip(gradients, lows, strict=True)
        ]
        return [*of_downs, *of_ups]

    def _folded(self, number: int) -> Tensor:
        up, down = self._ups[number], self._downs[number]
        return products.with_adapter(self._bases[number], up, down, self._scaling)


def _stacked(matrices: list[Tensor]) -> Tensor:
    return matrices[0] if len(matrices) == 1 else torch.cat(matrices)


def _side_by_side(matrices: list[Tensor]) -> Tensor:
    return matrices[0] if len(matrices) == 1 else torch.cat(matrices, 1)


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
