"""Decide whether this job uses the Triton kernels: each is run once and compared.

    used = arrange("auto", device, shape)     "triton", "plain: …" with the reason, None on the CPU

No GPU has run the kernels yet, so a job does not trust them: on the sizes of the model each
must compute the plain form's result. A kernel that raises, or computes something else, leaves the
whole job with the plain forms, in every process. An error that breaks the CUDA context still ends
the job; `train.kernels: plain` then starts no kernel.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from steps.train.distributed import processes
from steps.train.model import branch, fp8_linear
from steps.train.model.choosing.trial import fault_of
from steps.train.model.fused import pieces
from steps.train.planning.devices import Device
from steps.train.planning.shapes import Shape

_TOKENS = 257  # no multiple of a block
# Relative distance from the plain form in float32: one rounding to bfloat16 is 2⁻⁹ at most.
_TOLERANCE = 2.0**-7
_E4M3_TOLERANCE = 2.0**-4  # of e4m3, with three bits of mantissa

Check = tuple[str, Callable[[Any], float], float]


def arrange(switch: str, device: Device, shape: Shape) -> str | None:
    """Turn the kernels on or off for this process. Every process must call this.

    Args:
        switch: `auto`, or `plain` for none.
        device: of this process.
        shape: the model's sizes.

    Returns:
        What manifest and report have as `kernels`.
    """
    branch.use_kernels(True)
    if device.capability is None:
        return None
    own = "switched off by train.kernels" if switch == "plain" else _lacking(device)
    own = own or fault(device, shape, branch.kernels())
    reasons = [reason for reason in processes.here().gather(own) if reason]
    branch.use_kernels(not reasons)
    return f"plain: {reasons[0]}" if reasons else "triton"


def _lacking(device: Device) -> str | None:
    if not device.has_bfloat16:
        return "this GPU has no bfloat16"
    return None if branch.has_triton() else "the image has no Triton"


def fault(device: Device, shape: Shape, kernels: Any) -> str | None:
    """Return the first kernel that raises or computes another result, and what it did."""
    for name, distance, tolerance in _checks(device, shape):
        try:
            found = distance(kernels)
        # Triton raises errors of many kinds, from its compiler to the driver.
        except Exception as error:  # noqa: BLE001 - each of them means: not this kernel
            return f"kernel {name}: {fault_of(error)}"
        if not found <= tolerance:  # also where it is not a number
            return f"kernel {name}: {found:.2g} from the plain form, at most {tolerance:.2g}"
    return None


def _checks(device: Device, shape: Shape) -> Iterator[Check]:
    generator = torch.Generator(device.torch_device).manual_seed(0)

    def random(*size: int) -> Tensor:
        made = torch.randn(size, generator=generator, device=device.torch_device)
        return made.bfloat16()

    gate, up, gradient = (random(_TOKENS, shape.ffn) for _ in range(3))
    wide = [gradient.float(), gate.float(), up.float()]  # float32 takes the plain form
    yield "gated", lambda k: _far([k.gated(gate, up)], [pieces.gated(*wide[1:])]), _TOLERANCE
    yield (
        "gated_gradient",
        lambda k: _far(
            k.gated_gradient(gradient.clone(), gate, up),
            pieces.gated_gradient(wide[0].clone(), *wide[1:]),
        ),
        _TOLERANCE,
    )
    heads = random(1, _TOKENS, shape.heads, shape.head_width)
    angles = [random(1, _TOKENS, shape.head_width // 2).repeat(1, 1, 2) for _ in range(2)]
    cos, sin = (angle.float() for angle in angles)
    turned = pieces.rotated(heads.float(), cos, sin, -1)
    yield "rotated", lambda k: _far([k.rotated(heads, *angles, -1)], [turned]), _TOLERANCE
    if device.has_fp8:
        for width in sorted({shape.hidden, shape.ffn, shape.queries, shape.keys}):
            rows = random(_TOKENS, width)
            yield f"quantized_rows of {width}", _quantized(rows), _E4M3_TOLERANCE


def _quantized(rows: Tensor) -> Callable[[Any], float]:
    def distance(kernels: Any) -> float:
        codes, scales = kernels.quantized_rows(rows, fp8_linear.SMALLEST_SCALE)
        return _far([codes.float() * scales], [rows.float()])

    return distance


def _far(ours: Any, plain: Any) -> float:
    """Return the largest distance of a result from its plain form, relative to the latter."""
    distances = [
        float((one.float() - two).norm() / two.norm()) for one, two in zip(ours, plain, strict=True)
    ]
    return max(distances)
