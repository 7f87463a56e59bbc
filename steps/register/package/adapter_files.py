"""Check that the files of a verified archive are an adapter that the base model can load and use.

    check_adapter(folder, files, base)

This is the worker's own load: configuration, names, types, shapes and values of the weights, and
the tokenizer, all against the base model's configuration. It needs neither torch nor the base's
weights. Nothing is unpickled, and the JSON files must not name Python code to import.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steps.governance.documents.document import FileEntry
from steps.register.package import adapter_configuration, adapter_weights, tokenizer_files
from steps.register.package.base_model import BaseModel
from steps.register.package.refusal import refused

# Keys with which Hugging Face configurations name Python code to import
_CODE_KEYS = ("auto_map", "auto_mapping", "custom_pipelines", "megatron_config")


def check_adapter(folder: Path, files: Sequence[FileEntry], base: BaseModel) -> None:
    """Check the weights and every JSON file of an unpacked adapter.

    Args:
        folder: the unpacked archive.
        files: its files with their digests.
        base: the base model that the adapter was trained on.

    Raises:
        IntegrityError: it names code to import, or could not be loaded with this base, or would
            answer nonsense. The message gives the first reason.
    """
    for path in sorted(folder.glob("*.json")):
        document = read_json(path)
        if named := [key for key in _CODE_KEYS if document.get(key)]:
            raise refused(path.name, "a configuration that names no code", ", ".join(named))
        if path.name == tokenizer_files.NAME:
            tokenizer_files.check_tokenizer(files, document, base)
    plain = adapter_configuration.check_configuration(
        read_json(folder / adapter_configuration.NAME), base
    )
    adapter_weights.check_weights(folder / adapter_weights.NAME, plain, base)


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        IntegrityError: the file holds anything else, or an object with a repeated key.
    """
    try:
        document = json.loads(path.read_bytes(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise refused(path.name, "a JSON object without repeated keys", "other bytes") from None
    if not isinstance(document, dict):
        raise refused(path.name, "a JSON object", type(document).__name__)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("repeated key")
    return found
