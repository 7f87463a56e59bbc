"""GPUs that a fine-tune may run on: their data sheets, and the device of this process.

    peak_flops("NVIDIA A10G")   → 70e12
    peak_flops("cpu")           → None: MFU is not reported on CPU
    Device.here()               → the GPU of this process, or the CPU

Only `Device` methods import torch, so tables of devices can be computed without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# First CUDA compute capabilities with tensor cores for these types.
BFLOAT16_CAPABILITY = (8, 0)  # Ampere
NATIVE_CAPABILITY = (8, 9)  # FP8: Ada
# Compute capability 12.x has FP8 tensor cores, but cuBLAS refuses torch's product with a scale for
# each row there (pytorch issue 192707, torch 2.10 on 12.0, August 2026) [unverified with ours].
_WITHOUT_SCALED_ROWS = 12


@dataclass(frozen=True)
class Sheet:
    """Dense peak operations per second, without sparsity; memory, and its bytes per second."""

    bfloat16: float
    fp8: float | None  # None: no product of FP8 rows, each with a scale
    memory_bytes: int  # total that CUDA reports; about 5 % below the nominal size on cards with ECC
    bandwidth: float


_T, _G, _GIB = 1e12, 1e9, 2**30

# Keys are the complete CUDA names without "NVIDIA ": H100 PCIe and H200 NVL are other, slower
# cards. Operations: NVIDIA's data sheets. A10G has 70; TRL and Lightning list the 125 of the A10,
# which is another card. H200 has the chip of the H100 [unverified here]. Names and memory are
# [unverified] where no such card was available, and so are all numbers of Blackwell: RTX PRO 6000,
# B200 and B300 (NVIDIA's Blackwell Architecture Technical Brief, HGX; read 2026-11-30). A B300 has
# 288 GB, of which p6-b300 shows 268. batching.py reads the memory of the actual device.
SHEETS = {
    "A10G": Sheet(70 * _T, None, int(22.0 * _GIB), 600 * _G),
    "A100-SXM4-40GB": Sheet(312 * _T, None, int(39.4 * _GIB), 1555 * _G),
    "A100-SXM4-80GB": Sheet(312 * _T, None, int(79.1 * _GIB), 2039 * _G),
    "L4": Sheet(121 * _T, 242 * _T, int(22.0 * _GIB), 300 * _G),
    "L40S": Sheet(362 * _T, 733 * _T, int(44.4 * _GIB), 864 * _G),
    "H100 80GB HBM3": Sheet(989 * _T, 1979 * _T, int(79.1 * _GIB), 3350 * _G),  # SXM
    "H200": Sheet(989 * _T, 1979 * _T, int(139.8 * _GIB), 4800 * _G),
    "RTX PRO 6000 Blackwell Server Edition": Sheet(503 * _T, None, int(95 * _GIB), 1597 * _G),
    "B200": Sheet(2250 * _T, 4500 * _T, int(178 * _GIB), 7700 * _G),
    "B300 SXM6 AC": Sheet(2250 * _T, 4500 * _T, int(267 * _GIB), 8000 * _G),
}

# Cards on which scripts.roofline predicts native FP8 to be faster than FP8 storage and bfloat16:
# all that have it. A test compares this with the roofline. [unverified]
NATIVE_IS_FASTER = frozenset(name for name, each in SHEETS.items() if each.fp8 is not None)


def sheet(name: str) -> Sheet | None:
    """Return the data sheet of a device by its CUDA name, or None if it is not in the table."""
    return SHEETS.get(name.removeprefix("NVIDIA "))


def peak_flops(name: str, *, fp8: bool = False) -> float | None:
    """Return dense operations per second of a device, in bfloat16 or FP8; None if unknown.

    MFU is reported against the bfloat16 peak in every mode, so that modes can be compared. A run
    in FP8 may therefore exceed 100 %.
    """
    known = sheet(name)
    if known is None:
        return None
    return known.fp8 if fp8 else known.bfloat16


@dataclass(frozen=True)
class Device:
    """The device that holds the model, with its CUDA compute capability."""

    torch_device: torch.device
    name: str
    capability: tuple[int, int] | None  # CUDA compute capability; None on CPU

    @classmethod
    def here(cls) -> Device:
        """Return the CUDA device of this process if it has one, else the CPU."""
        import torch

        if not torch.cuda.is_available():
            return cls(torch.device("cpu"), "cpu", None)
        cuda = torch.device("cuda", torch.cuda.current_device())
        return cls(cuda, torch.cuda.get_device_name(cuda), torch.cuda.get_device_capability(cuda))

    @property
    def has_fp8(self) -> bool:
        """Whether the device multiplies FP8 rows, each with its scale."""
        if self.capability is None or self.capability[0] == _WITHOUT_SCALED_ROWS:
            return False
        return self.capability >= NATIVE_CAPABILITY

    @property
    def is_faster_native(self) -> bool:
        """Whether native FP8 is predicted to be faster than FP8 storage on this card."""
        return self.has_fp8 and self.name.removeprefix("NVIDIA ") in NATIVE_IS_FASTER

    @property
    def has_bfloat16(self) -> bool:
        """Whether the device has bfloat16 tensor cores."""
        return self.capability is not None and self.capability >= BFLOAT16_CAPABILITY

    def memory_bytes(self) -> int:
        """Return the total memory of a CUDA device, in bytes."""
        import torch

        return int(torch.cuda.get_device_properties(self.torch_device).total_memory)
