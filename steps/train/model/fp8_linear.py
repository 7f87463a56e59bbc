"""Frozen FP8 linears: the released e4m3 bytes are kept as they are, with LoRA on top.

    W = bits(e4m3) * scale          W is (out, in); the scale is one float32 number

A weight takes one byte in memory, and only these bytes are saved for backward. The base is frozen,
so backward computes the gradient of the input and never that of the weight. There are two ways to
multiply, chosen when a layer is made:

* storage: decode W to the dtype of the activations, then an ordinary GEMM (W8A16). This works on
  every device; A10G and CPU use it.
* native: quantize the activations per token and multiply in FP8 (W8A8, `torch._scaled_mm`). This
  needs compute capability 8.9 to 10.x.

The input's gradient is computed with the decoded weight. With `native_gradient` it is computed in
FP8 too: the incoming gradient is quantized per token, like the activations
(docs/decisions/009-fp8-input-gradient.md).

How native mode quantizes. A row x of the activations (one token) gets the scale s = amax(|x|) /
448, where 448 is the largest e4m3 value, and x / s is rounded to e4m3. One scale per token keeps a
token with large values from costing the others their precision. The GEMM multiplies the e4m3
numbers, accumulates in float32, scales each row of its sums by s and by the weight's scale, and
rounds once to bfloat16. torch's row-wise GEMM runs on compute capability 8.9 to 10.x [unverified].

Why the bits are a uint8 Parameter: gloo and DDP refuse float8; `.to(dtype)` on float8 decodes it
without its scale; PEFT's merge fails on it; and DDP would broadcast a buffer on every forward. Why
the scale is 1-D: FSDP2 refuses 0-D parameters.
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from steps.train.model import branch

E4M3 = torch.float8_e4m3fn
E4M3_MAX = 448.0  # the largest finite e4m3 value
SMALLEST_SCALE = 1e-12  # so that a row of zeros does not divide by zero
NATIVE_ALIGNMENT = 16  # torch._scaled_mm requires K and N to be multiples of 16


@functools.cache
def _table(dtype: torch.dtype) -> Tensor:
    """Return the values of the 256 codes, (256,).

    On CPU, gathering from this table is 4.8 times as fast as `.to()`.
    """
    return torch.arange(256, dtype=torch.uint8).view(E4M3).to(dtype)


def decode(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the e4m3 values of uint8 bits, without scale; exact in bfloat16 and float32."""
    if torch.compiler.is_compiling():
        return _decode_integers(bits, dtype)
    if bits.device.type != "cpu" or branch.on_cuda(bits):
        return bits.view(E4M3).to(dtype)
    return _table(dtype).index_select(0, bits.reshape(-1).int()).view(bits.shape)


def _decode_integers(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """Decode with integer arithmetic, for Triton, which does not support e4m3 before sm_89.

    e4m3 is seeeemmm and bfloat16 is seeeeeeeemmmmmmm. The sign moves to bit 15, and exponent and
    mantissa move up by 4 bits, so that the mantissas align. The exponent biases are 7 and 127, so
    the result is multiplied by 2**120.
    """
    wide = bits.to(torch.int16)
    moved = ((wide & 0x80) << 8) | ((wide & 0x7F) << 4)
    return (moved.view(torch.bfloat16) * 2.0**120).to(dtype)


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Divide each row by its own scale and round it to e4m3.

    Args:
        x: (tokens, in).

    Returns:
        The quantized rows, (tokens, in), e4m3, and their scales, (tokens, 1), float32.
    """
    if branch.has_kernels(x):
        found: tuple[Tensor, Tensor] = branch.kernels().quantized_rows(x, SMALLEST_SCALE)
        return found
    largest = torch.linalg.vector_norm(x, float("inf"), -1, keepdim=True, dtype=torch.float32)
    scale = largest.div_(E4M3_MAX).clamp_min_(SMALLEST_SCALE)
    # The quotient exceeds 448 by rounding at most, and the conversion then rounds to 448.
    return torch.div(x, scale).to(E4M3), scale


def multiply_native(quantized: tuple[Tensor, Tensor], columns: Tensor, scale: Tensor) -> Tensor:
    """Return `rows * row_scale @ (columns * scale)`, computed in FP8 (see the module's docstring).

    Args:
        quantized: rows (tokens, k) and their scales, from `quantize_rows`.
        columns: (k, n), e4m3, with stride (1, k): the tensor cores read it column by column.
        scale: (1,), of `columns`.

    Returns:
        (tokens, n), bfloat16.
    """
    rows, row_scale = quantized
    columns_scale = scale.expand(1, columns.shape[1]).contiguous()
    return torch._scaled_mm(
        rows, columns, scale_a=row_scale, scale_b=columns_scale, out_dtype=torch.bfloat16
    )


def _multiplied(x: Tensor, columns: Tensor, scale: Tensor) -> Tensor:
    """Return `x @ (columns * scale)` in FP8, (…, n), for x (…, k)."""
    y = multiply_native(quantize_rows(x.reshape(-1, x.shape[-1])), columns, scale)
    return y.to(x.dtype).reshape(*x.shape[:-1], -1)


def by_column(bits: Tensor) -> Tensor:
    """Return the weight for the input's gradient: (out, in), e4m3, with stride (1, out).

    The copy moves 2 bytes per weight; decoding to bfloat16 would move 3.
    """
    return bits.t().contiguous().t().view(E4M3)


class _Multiply(torch.autograd.Function):
    """`x @ W.T` that saves the one-byte weight for backward, not a decoded copy of it.

    Shapes: x (…, in), bits (out, in), scale (1,); the result is (…, out).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, bits: Tensor, scale: Tensor, native: bool, native_gradient: bool
    ) -> Tensor:
        ctx.save_for_backward(bits, scale)
        ctx.native_gradient = native_gradient
        if native:
            return _multiplied(x, bits.view(E4M3).t(), scale)
        # mul_ multiplies by the float32 scale and rounds once; scale.to(x.dtype) would also round
        # the scale.
        return functional.linear(x, decode(bits, x.dtype)).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = gradients  # (…, out)
        bits, scale = ctx.saved_tensors
        if ctx.native_gradient:
            return _multiplied(gradient, by_column(bits), scale), None, None, None, None
        return (gradient @ decode(bits, gradient.dtype)).mul_(scale), None, None, None, None


class Fp8Linear(nn.Linear):
    """A frozen linear without bias over e4m3 bits.

    It is an `nn.Linear`, so PEFT's default LoRA layer can wrap it.

    Args:
        weight: (out, in), float8_e4m3fn; kept bit for bit.
        scale: one number; the weight is `weight * scale`. It is read once, which waits for a GPU.
        native: multiply in FP8.
        native_gradient: compute the input's gradient in FP8 too.
    """

    def __init__(
        self, weight: Tensor, scale: Tensor, *, native: bool = False, native_gradient: bool = False
    ) -> None:
        nn.Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        self.native, self.native_gradient = native, native_gradient
        # On the host, where a product takes it as an argument; on `meta` it has no number.
        self.factor = 1.0 if scale.is_meta else float(scale)
        self.weight = nn.Parameter(weight.view(torch.uint8), requires_grad=False)
        self.scale = nn.Parameter(scale.float().reshape(1), requires_grad=False)
        self.register_parameter("bias", None)

    def forward(self, input: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        # autocast casts the input of a GEMM, but does not see into a custom Function.
        if torch.is_autocast_enabled(input.device.type):
            input = input.to(torch.get_autocast_dtype(input.device.type))
        apply: Any = _Multiply.apply  # torch has no types here
        result: Tensor = apply(input, self.weight, self.scale, self.native, self.native_gradient)
        return result

    def dequantized(self, dtype: torch.dtype) -> Tensor:
        """Return the weight in `dtype`, (out, in)."""
        return (decode(self.weight, torch.float32) * self.scale).to(dtype)
