"""Whether the files of a verified archive are what they are named: a LoRA adapter in safetensors, and JSON that loads
no code.

Only the header of the weights is read here (tensor names, types, places); nothing is loaded, nothing is unpickled.
"""

import json
import re
from pathlib import Path
from typing import Any

from steps.governance.errors import IntegrityError

_MAX_HEADER = 10 * 1024 * 1024  # bytes; a LoRA header has some 100 bytes per tensor
_BYTES = {"F32": 4, "F16": 2, "BF16": 2}  # the types an adapter may have
# PEFT's names for LoRA on the linears of a text model
_LORA_NAME = re.compile(r"base_model\.model\.[A-Za-z0-9_.]{1,200}\.lora_[AB]\.weight")
# Keys with which Hugging Face configurations name Python code to import
_CODE_KEYS = ("auto_map", "auto_mapping", "custom_pipelines", "megatron_config")


def check_adapter(folder: Path) -> None:
    """Check every file of an unpacked adapter that names code or shapes.

    Raises:
        IntegrityError: not a LoRA adapter, or one that asks for code.
    """
    check_weights(folder / "adapter_model.safetensors")
    configuration = read_json(folder / "adapter_config.json")
    if configuration.get("peft_type") != "LORA":
        raise _refused(
            "adapter_config.json", "peft_type LORA", repr(configuration.get("peft_type"))[:60]
        )
    for path in sorted(folder.glob("*.json")):
        asked = [key for key in _CODE_KEYS if read_json(path).get(key)]
        if asked:
            raise _refused(path.name, "a configuration that names no code", ", ".join(asked))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        IntegrityError: anything else.
    """
    try:
        document = json.loads(path.read_bytes(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise _refused(path.name, "a JSON object without repeated keys", "other bytes") from None
    if not isinstance(document, dict):
        raise _refused(path.name, "a JSON object", type(document).__name__)
    return document


def check_weights(path: Path) -> None:
    """Check a safetensors header: its size, and tensors that fill the file without gap or overlap.

    Raises:
        IntegrityError: it does not describe LoRA weights.
    """
    header, data_size = _header(path)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise _refused(path.name, "metadata of strings", "other values")
    if not header:
        raise _refused(path.name, "LoRA tensors", "none")
    end = 0
    for name, tensor in sorted(header.items(), key=lambda item: _offsets(path, item[1])):
        start, stop = _offsets(path, tensor)
        if not _LORA_NAME.fullmatch(name):
            raise _refused(path.name, "LoRA tensors only", ascii(name)[:120])
        if start != end or stop - start != _size(path, tensor):
            raise _refused(
                path.name,
                "tensors side by side, as large as their shapes say",
                f"a gap or overlap at {name}",
            )
        end = stop
    if end != data_size:
        raise _refused(path.name, f"{data_size} bytes of tensors", f"{end}")


def _header(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        whole = path.stat().st_size
        if not 2 <= size <= min(_MAX_HEADER, whole - 8):
            raise _refused(path.name, f"a header of at most {_MAX_HEADER} bytes", f"{size}")
        try:
            header = json.loads(file.read(size), object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            raise _refused(
                path.name, "a JSON header without repeated names", "other bytes"
            ) from None
    if not isinstance(header, dict):
        raise _refused(path.name, "a JSON header", type(header).__name__)
    return header, whole - 8 - size


def _offsets(path: Path, tensor: object) -> tuple[int, int]:
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    if (
        not isinstance(offsets, list)
        or len(offsets) != 2
        or not all(type(offset) is int for offset in offsets)
    ):
        raise _refused(path.name, "data_offsets of each tensor", "none or malformed")
    return offsets[0], offsets[1]


def _size(path: Path, tensor: dict[str, Any]) -> int:
    shape, dtype = tensor.get("shape"), tensor.get("dtype")
    if (
        not isinstance(shape, list)
        or not all(type(length) is int and length > 0 for length in shape)
        or len(shape) != 2
    ):
        raise _refused(path.name, "two-dimensional tensors", repr(shape)[:60])
    if dtype not in _BYTES:
        raise _refused(path.name, f"one of {', '.join(_BYTES)}", repr(dtype)[:60])
    return int(shape[0] * shape[1] * _BYTES[dtype])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("repeated key")
    return dict(pairs)


def _refused(name: str, expected: str, got: str) -> IntegrityError:
    return IntegrityError(
        f"{name} was refused", expected=expected, got=got, do="find out who wrote it; train again"
    )
