"""Triton's kernels for what torch needs several passes over memory for. `launched.py` starts them.

Each reads its inputs once and writes its results once, computes in float32, and rounds once. Only
launched.py imports this module, since the CPU's images have no Triton.

tests/steps/train/model/kernels runs them in Triton's interpreter, against the plain forms, and
compiles them for the GPUs of devices.py.
"""

# Triton reads the annotations of a kernel as its own.
# mypy: disable-error-code="no-untyped-def,untyped-decorator"
# ruff: noqa: N803

import triton
import triton.language as tl


@triton.jit
def gated(gate, up, product, count, BLOCK: tl.constexpr):
    """product = silu(gate) * up, for `count` numbers."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = at < count
    g = tl.load(gate + at, mask=here, other=0.0).to(tl.float32)
    u = tl.load(up + at, mask=here, other=0.0).to(tl.float32)
    activated = g / (1.0 + tl.exp(-g))
    tl.store(product + at, (activated * u).to(product.dtype.element_ty), mask=here)


@triton.jit
def gated_gradient(
    gradient,
    gate,
    up,
    product,
    of_up,
    count,
    BLOCK: tl.constexpr,
):
    """Write the product again, the gradient of `up`, and that of `gate` over `gradient`."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = at < count
    d = tl.load(gradient + at, mask=here, other=0.0).to(tl.float32)
    g = tl.load(gate + at, mask=here, other=0.0).to(tl.float32)
    u = tl.load(up + at, mask=here, other=0.0).to(tl.float32)
    sigmoid = 1.0 / (1.0 + tl.exp(-g))
    activated = g * sigmoid
    tl.store(product + at, (activated * u).to(product.dtype.element_ty), mask=here)
    tl.store(of_up + at, (d * activated).to(of_up.dtype.element_ty), mask=here)
    of_gate = d * u * (sigmoid + activated * (1.0 - sigmoid))
    tl.store(gradient + at, of_gate.to(gradient.dtype.element_ty), mask=here)


@triton.jit
def rotated(
    x,
    cos,
    sin,
    out,
    angles,
    heads,
    half,
    direction,
    HEADS: tl.constexpr,
    HALF: tl.constexpr,
):
    """Rotate all heads of one token. `angles` tokens have angles; the batch's rows share them."""
    row = tl.program_id(0).to(tl.int64)
    head, column = tl.arange(0, HEADS)[:, None], tl.arange(0, HALF)[None, :]
    here = (head < heads) & (column < half)
    first = (row * heads + head) * 2 * half + column
    angle = (row % angles) * 2 * half + column
    c = tl.load(cos + angle, mask=column < half, other=0.0).to(tl.float32)
    s = tl.load(sin + angle, mask=column < half, other=0.0).to(tl.float32) * direction
    a = tl.load(x + first, mask=here, other=0.0).to(tl.float32)
    b = tl.load(x + first + half, mask=here, other=0.0).to(tl.float32)
    tl.store(out + first, (a * c - b * s).to(out.dtype.element_ty), mask=here)
    tl.store(out + first + half, (b * c + a * s).to(out.dtype.element_ty), mask=here)


@triton.jit
def quantized_rows(
    x,
    rows,
    scales,
    width,
    smallest,
    BLOCK: tl.constexpr,
):
    """Divide one row by its scale, amax / 448, and round it to e4m3. Needs sm_89.

    Both divisions round as IEEE 754 does, so that the bytes are those of the plain form.
    """
    row, at = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    here = at < width
    v = tl.load(x + row * width + at, mask=here, other=0.0).to(tl.float32)
    scale = tl.maximum(tl.div_rn(tl.max(tl.abs(v), 0), 448.0), smallest)
    quotient = tl.div_rn(v, tl.broadcast_to(scale, (BLOCK,)))
    tl.store(rows + row * width + at, quotient.to(rows.dtype.element_ty), mask=here)
    tl.store(scales + row, scale)
