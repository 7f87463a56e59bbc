"""Check that the files of a verified archive are a LoRA adapter that loads no code.

The weights' header is read by safetensors itself, the same reader that loads them later: it refuses
malformed JSON, gaps, overlaps, and tensors whose size differs from their shape and type. No tensor
is loaded, and nothing is unpickled. The JSON files must not name Python code to import.
"""

import json
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from steps.governance.errors import IntegrityError

_TYPES = ("F32", "F16", "BF16")  # the types an adapter may have
# PEFT's names for LoRA on the linears of a text model
_LORA_NAME = re.compile(r"base_model\.model\.[A-Za-z0-9_.]{1,200}\.lora_[AB]\.weight")
# Keys with which Hugging Face configurations name Python code to import
_CODE_KEYS = ("auto_map", "auto_mapping", "custom_pipelines", "megatron_config")


def check_adapter(folder: Path) -> None:
    """Check the weights and every JSON file of an unpacked adapter.

    Raises:
        IntegrityError: not a LoRA adapter, or one that names code to import.
    """
    check_weights(folder / "adapter_model.safetensors")
    configuration = read_json(folder / "adapter_config.json")
    if configuration.get("peft_type") != "LORA":
        raise _refused(
            "adapter_config.json", "peft_type LORA", repr(configuration.get("peft_type"))[:60]
        )
    for path in sorted(folder.glob("*.json")):
        document = read_json(path)
        named = [key for key in _CODE_KEYS if document.get(key)]
        if named:
            raise _refused(path.name, "a configuration that names no code", ", ".join(named))


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        IntegrityError: the file holds anything else, or an object with a repeated key.
    """
    try:
        document = json.loads(path.read_bytes(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise _refused(path.name, "a JSON object without repeated keys", "other bytes") from None
    if not isinstance(document, dict):
        raise _refused(path.name, "a JSON object", type(document).__name__)
    return document


def check_weights(path: Path) -> None:
    """Check a safetensors file: its tensors are LoRA matrices, and fill it without gap or overlap.

    Raises:
        IntegrityError: it is not a safetensors file, or holds another kind of tensor.
    """
    try:
        with safe_open(path, framework="np") as weights:
            names = weights.keys()
            if not names:
                raise _refused(path.name, "LoRA tensors", "none")
            for name in names:
                view = weights.get_slice(name)
                _check_tensor(path, name, shape=view.get_shape(), dtype=view.get_dtype())
    except SafetensorError as error:
        raise _refused(path.name, "a safetensors file", ascii(str(error))[:300]) from None


def _check_tensor(path: Path, name: str, *, shape: list[int], dtype: str) -> None:
    if not _LORA_NAME.fullmatch(name):
        raise _refused(path.name, "LoRA tensors only", ascii(name)[:120])
    if len(shape) != 2 or 0 in shape:
        raise _refused(path.name, "two-dimensional tensors that are not empty", repr(shape)[:60])
    if dtype not in _TYPES:
        raise _refused(path.name, f"one of {', '.join(_TYPES)}", repr(dtype)[:60])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("repeated key")
    return dict(pairs)


def _refused(name: str, expected: str, got: str) -> IntegrityError:
    return IntegrityError(
        f"{name} was refused", expected=expected, got=got, do="find out who wrote it; train again"
    )
