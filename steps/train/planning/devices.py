"""What the data sheets say of the devices a fine-tune may run on: one table, by the name that CUDA gives.

peak_flops("NVIDIA A10G") → 70e12        peak_flops("cpu") → None: no MFU is stated there
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sheet:
    """Dense peak operations per second, without sparsity, and memory."""

    bfloat16: float
    fp8: float | None  # None: no FP8 tensor cores
    memory_bytes: int  # what CUDA reports as the device's total, about 5 % below the name's number on cards with ECC


_T, _GIB = 1e12, 2**30

# Sources: reference/training.md §5 for the operations (A10G: 70, not the A10's 125 that TRL's and Lightning's tables give
# it); H200 has H100's chip (NVIDIA's data sheet, [unverified] here). Memory: [unverified] where no such card was at hand;
# batching asks the device itself. The names are whole: H100 PCIe and H200 NVL are other, slower cards.
SHEETS = {
    "A10G": Sheet(70 * _T, None, int(22.0 * _GIB)),
    "L4": Sheet(121 * _T, 242 * _T, int(22.0 * _GIB)),
    "L40S": Sheet(362 * _T, 733 * _T, int(44.4 * _GIB)),
    "H100 80GB HBM3": Sheet(989 * _T, 1979 * _T, int(79.1 * _GIB)),  # SXM
    "H200": Sheet(989 * _T, 1979 * _T, int(139.8 * _GIB)),
}


def sheet(name: str) -> Sheet | None:
    """The data sheet of the device that CUDA calls `name`; None if it is not in the table."""
    return SHEETS.get(name.removeprefix("NVIDIA "))


def peak_flops(name: str, *, fp8: bool = False) -> float | None:
    """Dense operations per second of this device, in bfloat16 or FP8; None where they are not known.

    MFU is stated against bfloat16 in every mode, so that modes compare: FP8 may exceed what bfloat16 can reach.
    """
    known = sheet(name)
    if known is None:
        return None
    return known.fp8 if fp8 else known.bfloat16
