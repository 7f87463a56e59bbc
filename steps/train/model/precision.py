"""Decide which arithmetic a run uses, before anything is loaded.

mode     base weights in memory          multiplication              needs
storage  released e4m3 bytes, 1 B each   decoded, in bfloat16        nothing
native   released e4m3 bytes, 1 B each   FP8, in forward and for     CUDA compute capability
                                         the input's gradient        8.9 to 10.x
off      dequantized, 2 B each           in bfloat16                 nothing
nf4      bitsandbytes NF4, 0.53 B each   decoded, in bfloat16        bitsandbytes

`auto` is the mode that the roofline names: native on the cards where it is predicted to be faster,
and storage elsewhere. On a GPU choosing/measured.py replaces it by what timed layers show
(docs/decisions/070-auto-by-measurement.md). A requested mode that is not
available is an error; another mode never replaces it. The effective mode, which is recorded, has
the same name, except that native is recorded as `native_dx`. The effective mode `native` (FP8 in
forward only) exists for scripts/training_bench, which compares the two
(docs/decisions/009-fp8-input-gradient.md); no Fp8Mode selects it.
"""

import importlib.util
from dataclasses import dataclass

import torch

from steps.governance.documents import precision as documents
from steps.governance.errors import UsageError
from steps.train.planning.devices import Device
from steps.train.planning.memory import Plan
from steps.train.planning.shapes import Shape


@dataclass(frozen=True)
class Precision:
    """The requested mode, and the mode, dtype and device that will be used.

    `choice` is what decided `auto` on a GPU; `kernels` is what kernel_check.py returned.
    """

    requested: str
    effective: str
    dtype: torch.dtype
    device: Device
    choice: documents.Choice | None = None
    kernels: str | None = None

    @property
    def autocast(self) -> bool:
        """Whether autocast multiplies float32 adapters in bfloat16."""
        return self.dtype is torch.bfloat16

    def plan(self, shape: Shape, *, rank: int, optimizer: str) -> Plan:
        """Return the memory plan of a run with this precision."""
        on_cuda = self.device.capability is not None
        return Plan(shape, self.effective, rank, optimizer, self.dtype.itemsize, on_cuda)

    def record(self) -> documents.Precision:
        """Return the entry for log, report and manifest."""
        return documents.Precision(
            requested=self.requested,
            effective=self.effective,
            dtype=str(self.dtype).removeprefix("torch."),
            device=self.device.name,
            choice=self.choice,
            kernels=self.kernels,
        )


def decide(requested: str, device: Device) -> Precision:
    """Return the precision that the mode `requested` means on `device`.

    Raises:
        UsageError: the device or the image does not support the mode.
    """
    faster = "native" if device.is_faster_native else "storage"
    mode = faster if requested == "auto" else requested
    if mode == "native" and not device.has_fp8:
        raise UsageError(
            "Fp8Mode native cannot run on this device",
            expected="a GPU of CUDA compute capability 8.9 to 10.x (L4, L40S, H100, H200, B200)",
            got=_described(device),
            do="use Fp8Mode auto or storage, or another TrainInstanceType",
        )
    if mode == "nf4" and importlib.util.find_spec("bitsandbytes") is None:
        raise UsageError(
            "Fp8Mode nf4 cannot run in this image",
            expected="bitsandbytes",
            got="no such package",
            do="use Fp8Mode auto or storage, or add bitsandbytes to the training image",
        )
    effective = "native_dx" if mode == "native" else mode
    return Precision(requested, effective, _dtype(device), device)


def _dtype(device: Device) -> torch.dtype:
    """Return bfloat16 where it is fast, else float32.

    On CPU bfloat16 takes the same CPU time as float32 (measured, AVX512-BF16).
    """
    return torch.bfloat16 if device.has_bfloat16 else torch.float32


def _described(device: Device) -> str:
    if device.capability is None:
        return device.name
    return f"{device.name}, compute capability {device.capability[0]}.{device.capability[1]}"
