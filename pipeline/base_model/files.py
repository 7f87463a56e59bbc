"""Check that a folder has all files of a model, and that each file is whole.

    faults(folder, paths)     # [("model.safetensors", "is a git-lfs pointer …; run `git lfs …`")]

The faults are those that a clone without git-lfs, a broken download or a lost shard leaves. Train
would find them on its GPU instance; here they cost a second. Of weights only the header is read.
`trainable.faults` then checks whether Train can use the model.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from pipeline.base_model import strict_json

Fault = tuple[str, str]

# As steps/train/model/base_weights.py reads them: shards with an index, or one file.
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
REQUIRED = ("config.json", "tokenizer.json")
# Files that must hold a JSON object, in addition to every *config.json.
_OBJECTS = (*REQUIRED, INDEX, "special_tokens_map.json", "added_tokens.json")
_BOM = b"\xef\xbb\xbf"  # the byte order mark, which some editors put at the start of a text
# The specification of git-lfs lists its earlier addresses as aliases.
_POINTERS = (
    b"version https://git-lfs.github.com/spec/",
    b"version https://hawser.github.com/spec/",
    b"version http://git-media.io/v/",
)
_PULL = "run `git lfs install && git lfs pull` in the folder"
_AGAIN = "download it again"
_FEW = 5  # names in one message


def faults(folder: Path, paths: Sequence[Path]) -> list[Fault]:
    """Return every fault of the files to mirror, by file name, each with what to do."""
    found = [(path.name, fault) for path in paths if (fault := _fault(path))]
    names = {path.name for path in paths}
    found += [
        (name, f"is missing, and Train needs it; {_AGAIN}")
        for name in REQUIRED
        if name not in names
    ]
    unreadable = {name for name, _ in found}
    return [
        *found,
        *_shards(
            folder, {path.name for path in paths if path.suffix == ".safetensors"}, unreadable
        ),
    ]


def few(names: Sequence[str]) -> str:
    """Return the first five names as text, and how many more there are."""
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more


def _fault(path: Path) -> str | None:
    """What is wrong with one file, whatever the others are, or None."""
    if not path.is_file():
        return f"is not a file, or is a broken link; {_AGAIN}"
    size = path.stat().st_size
    if size == 0:
        return f"is empty; {_AGAIN}"
    with path.open("rb") as file:
        if file.read(100).removeprefix(_BOM).startswith(_POINTERS):
            return f"is a git-lfs pointer of {size} bytes, not the file itself; {_PULL}"
    if path.suffix == ".safetensors":
        return _weights_fault(path, size)
    if path.suffix == ".json":
        return _json_fault(path)
    return _template_fault(path) if path.suffix == ".jinja" else None


def _json_fault(path: Path) -> str | None:
    try:
        content = strict_json.loads(path.read_bytes())
    except ValueError as error:
        return f"is not JSON ({str(error)[:80]}); {_AGAIN}"
    if (path.name in _OBJECTS or path.name.endswith("config.json")) and not isinstance(
        content, dict
    ):
        return f"expected a JSON object, got {type(content).__name__}; {_AGAIN}"
    return None


def _template_fault(path: Path) -> str | None:
    """The whole text of a chat template becomes part of every prompt, a byte order mark included."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        return f"is not UTF-8 (at byte {error.start}); {_AGAIN}"
    return f"begins with a byte order mark; {_AGAIN}" if text.startswith("\ufeff") else None


def _weights_fault(path: Path, size: int) -> str | None:
    """safetensors compares the header with the file's length, which finds a cut or padded file
    without reading the weights."""
    try:
        with safe_open(path, framework="np") as opened:
            return None if list(opened.keys()) else f"has no tensors; {_AGAIN}"
    except (SafetensorError, OSError) as error:
        return f"is not a whole safetensors file of {size} bytes ({str(error)[:120]}); {_AGAIN}"


def _shards(folder: Path, weights: set[str], unreadable: set[str]) -> Iterator[Fault]:
    """Faults between the index and the files of weights. Unreadable files are not opened again."""
    if not (folder / INDEX).is_file():
        if SINGLE not in weights and weights:
            yield (
                INDEX,
                (
                    f"is missing, so it is unknown which of {few(sorted(weights))} belong together; "
                    f"{_AGAIN}"
                ),
            )
        elif extra := sorted(weights - {SINGLE}):
            yield (
                few(extra),
                f"is next to {SINGLE}, and no index names it; remove it from the folder",
            )
        return
    if INDEX in unreadable:
        return
    tensors = json.loads((folder / INDEX).read_bytes()).get("weight_map")
    if (
        not isinstance(tensors, dict)
        or not tensors
        or not all(isinstance(shard, str) for shard in tensors.values())
    ):
        yield (
            INDEX,
            f"expected weight_map, from tensors to files, got {str(tensors)[:60]}; {_AGAIN}",
        )
        return
    yield from _indexed(folder, tensors, weights, unreadable)


def _indexed(
    folder: Path, tensors: dict[str, str], weights: set[str], unreadable: set[str]
) -> Iterator[Fault]:
    named = set(tensors.values())
    for shard in sorted(named - weights):
        yield shard, f"is missing, and {INDEX} names it; {_AGAIN}"
    if extra := sorted(weights - named):
        yield few(extra), f"is in no line of {INDEX}; remove it from the folder"
    for shard in sorted((named & weights) - unreadable):
        with safe_open(folder / shard, framework="np") as opened:
            held = set(opened.keys())
        listed = {tensor for tensor, place in tensors.items() if place == shard}
        if lacking := sorted(listed - held):
            yield shard, f"lacks tensors that {INDEX} lists for it: {few(lacking)}; {_AGAIN}"
        if unlisted := sorted(held - listed):
            yield shard, f"has tensors that {INDEX} does not list for it: {few(unlisted)}; {_AGAIN}"


def header(path: Path) -> dict[str, Any]:
    """Return the dtype of every tensor in a file of weights, by name, in safetensors' words."""
    with safe_open(path, framework="np") as opened:
        names = opened.keys()  # the file is not a mapping
        return {name: opened.get_slice(name).get_dtype() for name in names}
