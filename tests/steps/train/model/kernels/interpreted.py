"""Run each kernel in Triton's interpreter and print its distances from the plain form, as JSON.

TRITON_INTERPRET=1 python tests/steps/train/model/kernels/interpreted.py
"""

import json

import torch
from torch import Tensor

from steps.train.model import fp8_linear
from steps.train.model.fused import pieces
from steps.train.model.fused.kernels import launched, sources


def distance(ours: Tensor, plain: Tensor) -> float:
    """Return the norm of the difference over the norm of the plain form's result."""
    return float((ours.double() - plain.double()).norm() / plain.double().norm())


def distances(dtype: torch.dtype) -> dict[str, float]:
    """Return how far each result is from the plain form's in float32."""
    generator = torch.Generator().manual_seed(5)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    gate, up, gradient = (random(7, 300) for _ in range(3))  # no multiple of a block
    wide = [part.float() for part in (gradient.clone(), gate, up)]
    found = {"gated": distance(launched.gated(gate, up), pieces.gated(*wide[1:]))}
    results = launched.gated_gradient(gradient.clone(), gate, up), pieces.gated_gradient(*wide)
    for name, ours, plain in zip(("product", "of_gate", "of_up"), *results, strict=True):
        found[name] = distance(ours, plain)
    heads = random(2, 5, 3, 32)  # (batch, tokens, heads, width); both rows share the angles
    angles = [random(1, 5, 16).repeat(1, 1, 2) for _ in range(2)]
    for name, direction in (("rotated", 1), ("rotated back", -1)):
        plain = pieces.rotated(heads.float(), *(each.float() for each in angles), direction)
        found[name] = distance(launched.rotated(heads, *angles, direction), plain)
    return found


def quantized(dtype: torch.dtype) -> dict[str, bool]:
    """Return whether scales and quotients are the plain form's, bit for bit.

    The quotients are stored in float32: the cast to e4m3 of Triton 3.9's interpreter loses the
    carry of a number that rounds up to a power of two, where a GPU converts in hardware.
    """
    x = torch.randn(64, 300, generator=torch.Generator().manual_seed(6)).to(dtype)
    x[3] = 0
    _, plain = fp8_linear.quantize_rows(x)
    quotients, scales = torch.empty(64, 300), torch.empty(64, 1)
    smallest = fp8_linear.SMALLEST_SCALE
    sources.quantized_rows[(64,)](x, quotients, scales, 300, smallest, BLOCK=512)
    rows, again = launched.quantized_rows(x, smallest)
    return {
        "scales": torch.equal(scales, plain) and torch.equal(again, plain),
        "quotients": torch.equal(quotients, x / plain),
        "rows": rows.dtype is fp8_linear.E4M3 and rows.shape == x.shape,
    }


if __name__ == "__main__":
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    found = {name: [distances(dtype), quantized(dtype)] for name, dtype in dtypes.items()}
    print(json.dumps(found))  # noqa: T201 - read by the test
