"""Start Triton's kernels of `sources.py` on tensors of a GPU, with the results of pieces.py.

Grids and blocks: a program takes `_BLOCK` numbers, one token of all heads, or one whole row. They
are [unverified] for speed: no GPU has run them. Numbers are checked in Triton's interpreter.
"""

import torch
import triton
from torch import Tensor

from steps.train.model.fused.kernels import sources

_BLOCK = 1024  # numbers; 8 a thread with 4 warps
_WIDE = 4096  # numbers of a row from which more warps share it


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """Return `silu(gate) * up`."""
    gate, up = gate.contiguous(), up.contiguous()
    product = torch.empty_like(gate)
    sources.gated[_grid(gate)](gate, up, product, gate.numel(), BLOCK=_BLOCK)
    return product


def gated_gradient(gradient: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return `silu(gate) * up`, and the gradients of gate, in place of `gradient`, and up."""
    gradient, gate, up = gradient.contiguous(), gate.contiguous(), up.contiguous()
    product, of_up = torch.empty_like(gate), torch.empty_like(up)
    sources.gated_gradient[_grid(gate)](
        gradient, gate, up, product, of_up, gate.numel(), BLOCK=_BLOCK
    )
    return product, gradient, of_up


def rotated(x: Tensor, cos: Tensor, sin: Tensor, direction: int) -> Tensor:
    """Return each head of x, (batch, tokens, heads, width), rotated by its position's angle."""
    x, cos, sin = x.contiguous(), cos.contiguous(), sin.contiguous()
    batch, tokens, heads, width = x.shape
    out = torch.empty_like(x)
    sources.rotated[(batch * tokens,)](
        *(x, cos, sin, out),
        *(cos.shape[0] * cos.shape[1], heads, width // 2, float(direction)),
        HEADS=triton.next_power_of_2(heads),
        HALF=triton.next_power_of_2(width // 2),
    )
    return out


def quantized_rows(x: Tensor, smallest: float) -> tuple[Tensor, Tensor]:
    """Return the rows of x, (tokens, in), in e4m3, and their scales, (tokens, 1)."""
    x = x.contiguous()
    rows = torch.empty(x.shape, dtype=torch.float8_e4m3fn, device=x.device)
    scales = torch.empty(len(x), 1, dtype=torch.float32, device=x.device)
    width = x.shape[1]
    sources.quantized_rows[(len(x),)](
        *(x, rows, scales, width, smallest),
        BLOCK=triton.next_power_of_2(width),
        num_warps=8 if width >= _WIDE else 4,
    )
    return rows, scales


def _grid(x: Tensor) -> tuple[int]:
    return (triton.cdiv(x.numel(), _BLOCK),)
