"""The gated product and the rotation: torch's own operations, or one kernel each on a GPU.

On CUDA in bfloat16, where Triton is installed, each is one kernel of `kernels/`. Elsewhere torch's
own operations compute it: on the CPU, in float32, and in an image without Triton. Both compute the
same numbers up to the rounding of bfloat16.
"""

import torch
from torch import Tensor
from torch.nn import functional

from steps.train.model import branch


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """Return `silu(gate) * up`."""
    if branch.has_kernels(gate):
        product: Tensor = branch.kernels().gated(gate, up)
        return product
    return functional.silu(gate).mul_(up)


def gated_gradient(gradient: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return `silu(gate) * up` again, and the gradients of gate and up.

    The gradient of the product, `gradient`, is overwritten.
    """
    if branch.has_kernels(gate):
        found: tuple[Tensor, Tensor, Tensor] = branch.kernels().gated_gradient(gradient, gate, up)
        return found
    activated = functional.silu(gate)
    product = activated * up
    of_up = activated.mul_(gradient)
    gradient.mul_(up)
    of_gate = torch.ops.aten.silu_backward.grad_input(gradient, gate, grad_input=gradient)
    return product, of_gate, of_up


def rotated(x: Tensor, cos: Tensor, sin: Tensor, direction: int) -> Tensor:
    """Return each head of `x` rotated by its position's angle, or with -1 by the opposite angle.

    Args:
        x: (batch, tokens, heads, width).
        cos: (batch, tokens, width), whose two halves are equal; the batch may be 1 for all.
        sin: as cos.
        direction: 1 or -1.
    """
    if branch.has_kernels(x):
        turned: Tensor = branch.kernels().rotated(x, cos, sin, direction)
        return turned
    half = x.shape[-1] // 2
    c, s = (angle[..., None, :half] for angle in (cos, sin))  # (batch, tokens, 1, half)
    first, second = x[..., :half], x[..., half:]
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    torch.mul(first, c, out=out[..., :half]).addcmul_(second, s, value=-direction)
    torch.mul(second, c, out=out[..., half:]).addcmul_(first, s, value=direction)
    return out
