"""Check `adapter_model.safetensors`: names, types and shapes first, then every value.

    check_weights(path, plain, base)

The header is read by safetensors itself, the reader that loads the weights later: it refuses
malformed JSON, gaps, overlaps, and tensors whose size differs from their shape and type. The values
are read in blocks of 1 MiB, without torch: the magnitude bits of a float, compared as an integer,
order the numbers, then infinity, then NaN. That holds for float32, float16 and bfloat16.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open

from steps.register.package.adapter_configuration import PlainLora
from steps.register.package.base_model import BaseModel
from steps.register.package.refusal import refused

NAME = "adapter_model.safetensors"
# A trained weight is far below 1. AdamW moves one by about the learning rate in each step: 0.1, the
# largest that Train takes, needs 10,000 steps in one direction for this.
MAX_MAGNITUDE = 1000.0
_MAX_HEADER = 4 << 20  # bytes; 80 layers of seven pairs need 0.2 MB
_BLOCK = 1 << 20  # bytes of values at once
# PEFT's names for LoRA on the linears of a text model
_LORA_NAME = re.compile(r"base_model\.model\.([A-Za-z0-9_.]{1,200})\.lora_([AB])\.weight")


@dataclass(frozen=True)
class _Float:
    """A type of number: its bytes as unsigned integers, and the bits of infinity and of a bound."""

    unsigned: str  # numpy's name
    infinity: int
    bound: int

    @property
    def magnitude(self) -> int:
        """All bits but the sign."""
        return int((1 << (8 * np.dtype(self.unsigned).itemsize - 1)) - 1)


def _bits(value: float, kind: str, unsigned: str) -> int:
    return int(np.array(value, dtype=kind).view(unsigned))


_FLOATS = {  # the types that an adapter may have
    "F32": _Float("<u4", _bits(np.inf, "<f4", "<u4"), _bits(MAX_MAGNITUDE, "<f4", "<u4")),
    "F16": _Float("<u2", _bits(np.inf, "<f2", "<u2"), _bits(MAX_MAGNITUDE, "<f2", "<u2")),
    # the upper half of a float32
    "BF16": _Float("<u2", _bits(np.inf, "<f4", "<u4") >> 16, _bits(1000.0, "<f4", "<u4") >> 16),
}


def check_weights(path: Path, plain: PlainLora, base: BaseModel) -> None:
    """Check that a file holds the matrices that the configuration promises, with finite values.

    Raises:
        IntegrityError: it is not a safetensors file, holds other tensors or other shapes, or a
            value is NaN, infinite or too large.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _MAX_HEADER:
            raise refused(path.name, f"a header of at most {_MAX_HEADER} bytes", f"{length}")
        _check_tensors(path, plain, base)
        for name, dtype, size in _layout(file.read(length)):
            _check_values(file, size, name=name, number=_FLOATS[dtype])


def _check_tensors(path: Path, plain: PlainLora, base: BaseModel) -> None:
    found: dict[str, set[str]] = {}
    try:
        with safe_open(path, framework="np") as weights:
            for name in weights.keys():  # noqa: SIM118 - safe_open is not a mapping
                module, matrix = _parts(path.name, name)
                view = weights.get_slice(name)
                _check_tensor(module, matrix, view=view, plain=plain, base=base)
                found.setdefault(module, set()).add(matrix)
    except SafetensorError as error:
        raise refused(path.name, "a safetensors file", ascii(str(error))[:300]) from None
    if not found:
        raise refused(path.name, "LoRA tensors", "none")
    for module, matrices in sorted(found.items()):
        if len(matrices) == 1:
            raise refused(
                path.name, f"lora_A and lora_B of {module}", f"lora_{matrices.pop()} only"
            )
    if missing := sorted(plain.modules - found.keys()):
        expected = f"all {len(plain.modules)} linears that adapter_config.json names"
        raise refused(path.name, expected, f"{len(missing)} missing, first {missing[0]}")


def _parts(file: str, name: str) -> tuple[str, str]:
    """Return the module's name and "A" or "B"."""
    parts = _LORA_NAME.fullmatch(name)
    if parts is None:
        raise refused(file, "LoRA tensors only", ascii(name)[:120])
    return parts[1], parts[2]


def _check_tensor(
    module: str, matrix: str, *, view: Any, plain: PlainLora, base: BaseModel
) -> None:
    shape, dtype = view.get_shape(), view.get_dtype()
    if module not in base.linears:
        raise refused(NAME, "linears of the base model only", module[:120])
    if module not in plain.modules:
        raise refused(NAME, "linears that adapter_config.json names", module[:120])
    outputs, inputs = base.linears[module]
    expected = [plain.rank, inputs] if matrix == "A" else [outputs, plain.rank]
    if shape != expected:
        raise refused(NAME, f"lora_{matrix} of {module}: {expected}", repr(shape)[:60])
    if dtype not in _FLOATS:
        raise refused(NAME, f"one of {', '.join(_FLOATS)}", repr(dtype)[:60])


def _layout(header: bytes) -> list[tuple[str, str, int]]:
    """Return name, type and bytes of each tensor in file order; safetensors checked the header."""
    entries = json.loads(header)
    entries.pop("__metadata__", None)
    placed = sorted(
        (*entry["data_offsets"], name, entry["dtype"]) for name, entry in entries.items()
    )
    return [(name, dtype, end - start) for start, end, name, dtype in placed]


def _check_values(file: BinaryIO, size: int, *, name: str, number: _Float) -> None:
    largest = max(_magnitudes(file, size, number))
    if largest > number.infinity:
        raise refused(NAME, "finite numbers", f"NaN in {name}")
    if largest == number.infinity:
        raise refused(NAME, "finite numbers", f"infinity in {name}")
    if largest > number.bound:
        raise refused(NAME, f"numbers of at most {MAX_MAGNITUDE:g}", f"a larger one in {name}")


def _magnitudes(file: BinaryIO, size: int, number: _Float) -> Iterator[int]:
    """Yield the largest magnitude, as bits, of each block of the next `size` bytes."""
    while size:
        block = file.read(min(size, _BLOCK))
        if not block:
            raise refused(NAME, "a whole file", "one that became shorter while it was read")
        size -= len(block)
        values = np.frombuffer(block, dtype=number.unsigned)
        yield int((values & number.magnitude).max())
