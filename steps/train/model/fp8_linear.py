"""Frozen FP8 linears: the released e4m3 bytes, kept as they are, with LoRA on top.

    W = bits(e4m3) * scale          one byte a weight in memory; nothing but those bytes is saved for backward

Two ways to multiply, chosen when the layer is made:

* storage: decode to the activations' dtype, then an ordinary GEMM (W8A16). Works everywhere; what A10G and CPU use.
* native:  quantize the activations per token and multiply in FP8 (W8A8, `torch._scaled_mm`). Compute capability 8.9 and up.

The base is frozen, so backward needs the input's gradient only. It is taken through the decoded weight, or, on request, in
FP8 too: the gradient is quantized per token like the activations (docs/decisions/009-fp8-input-gradient.md).

Why the bits are a uint8 Parameter: gloo and DDP refuse float8; `.to(dtype)` on float8 decodes it without its scale;
PEFT's merge fails on it; a buffer would be broadcast on every DDP forward. Why the scale is 1-D: FSDP2 refuses 0-D
parameters.
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

E4M3 = torch.float8_e4m3fn
E4M3_MAX = 448.0  # the largest finite e4m3 value
_SMALLEST_SCALE = 1e-12  # a row of zeros must not divide by zero
NATIVE_ALIGNMENT = 16  # torch._scaled_mm takes K and N in multiples of 16


@functools.cache
def _table(dtype: torch.dtype) -> Tensor:
    """The value of each of the 256 codes. On CPU a gather from it is 4.8 times as fast as `.to()`."""
    return torch.arange(256, dtype=torch.uint8).view(E4M3).to(dtype)


def decode(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """The e4m3 values of uint8 bits, unscaled; exact in bfloat16 and float32."""
    if torch.compiler.is_compiling():
        return _decode_integers(bits, dtype)
    if bits.device.type == "cpu":
        return _table(dtype).index_select(0, bits.reshape(-1).int()).view(bits.shape)
    return bits.view(E4M3).to(dtype)


def _decode_integers(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """The same by moving sign, exponent and mantissa to bfloat16's places: Triton knows no e4m3 before sm_89."""
    wide = bits.to(torch.int16)
    moved = ((wide & 0x80) << 8) | ((wide & 0x7F) << 4)
    return (moved.view(torch.bfloat16) * 2.0**120).to(
        dtype
    )  # bfloat16's exponent bias 127 less e4m3's 7


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Each row divided by its own scale, as e4m3, and the scales: (tokens, in) → (tokens, in), (tokens, 1)."""
    scale = (x.abs().amax(-1, keepdim=True).float() / E4M3_MAX).clamp_min(_SMALLEST_SCALE)
    return torch.div(x, scale).clamp_(-E4M3_MAX, E4M3_MAX).to(
        E4M3
    ), scale  # divided in float32, and only one such copy


def _multiply_native(x: Tensor, columns: Tensor, scale: Tensor) -> Tensor:
    """`x @ (columns * scale)` in W8A8: (…, k), (k, n) → (…, n).

    Unit scales go into the GEMM and the real ones on its output: row-wise scaling is broken off Hopper (pytorch#130359),
    and this has the same error. The tensor cores read `columns` column by column: its stride must be (1, k).
    """
    rows, row_scale = quantize_rows(x.reshape(-1, x.shape[-1]))  # (tokens, k), (tokens, 1)
    one = torch.ones((), device=x.device)
    y = torch._scaled_mm(rows, columns, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
    return y.mul_(row_scale * scale).to(x.dtype).reshape(*x.shape[:-1], -1)


def _by_column(bits: Tensor) -> Tensor:
    """The weight laid out anew for the input gradient, 2 bytes of traffic a weight; decoding to bfloat16 takes 3."""
    return bits.t().contiguous().t().view(E4M3)  # (out, in), stride (1, out)


class _Multiply(torch.autograd.Function):
    """`x @ W.T` that saves the one-byte weight for backward instead of a decoded copy of it."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, bits: Tensor, scale: Tensor, native: bool, native_gradient: bool
    ) -> Tensor:
        ctx.save_for_backward(bits, scale)
        ctx.native_gradient = native_gradient
        if native:
            return _multiply_native(x, bits.view(E4M3).t(), scale)
        # mul_ multiplies by the float32 scale and rounds once; scale.to(x.dtype) would round the scale as well
        return functional.linear(x, decode(bits, x.dtype)).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = gradients
        bits, scale = ctx.saved_tensors
        if ctx.native_gradient:
            return _multiply_native(gradient, _by_column(bits), scale), None, None, None, None
        return (gradient @ decode(bits, gradient.dtype)).mul_(scale), None, None, None, None


class Fp8Linear(nn.Linear):
    """A frozen linear without bias over e4m3 bits. An `nn.Linear` to PEFT, whose default LoRA layer wraps it.

    Args:
        weight: (out, in), float8_e4m3fn; kept bit for bit.
        scale: one number; the weight is `weight * scale`.
        native: multiply in FP8.
        native_gradient: take the input's gradient in FP8 too.
    """

    def __init__(
        self, weight: Tensor, scale: Tensor, *, native: bool = False, native_gradient: bool = False
    ) -> None:
        nn.Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        self.native, self.native_gradient = native, native_gradient
        self.weight = nn.Parameter(weight.view(torch.uint8), requires_grad=False)
        self.scale = nn.Parameter(scale.float().reshape(1), requires_grad=False)
        self.register_parameter("bias", None)

    def forward(self, input: Tensor) -> Tensor:
        # a custom Function is invisible to autocast, which would have cast the input of a GEMM
        if torch.is_autocast_enabled(input.device.type):
            input = input.to(torch.get_autocast_dtype(input.device.type))
        result: Tensor = _Multiply.apply(  # type: ignore[no-untyped-call]  # torch gives apply no types
            input, self.weight, self.scale, self.native, self.native_gradient
        )
        return result

    def dequantized(self, dtype: torch.dtype) -> Tensor:
        """The weight as ordinary numbers, (out, in)."""
        return (decode(self.weight, torch.float32) * self.scale).to(dtype)
