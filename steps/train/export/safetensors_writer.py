"""Write safetensors files tensor by tensor, with the memory of one tensor.

    for shard in plan(shapes):
        write(folder / shard.name, shard, tensors)
    write_index(folder, shards)

`safetensors.torch.save_file` needs all tensors of a file at once, 5 GB for an ordinary shard. The
format does not: a file is 8 bytes for the length of the header, a JSON header with dtype, shape and
byte range of every tensor, then the bytes of the tensors
(https://github.com/huggingface/safetensors, "Format"). Decision 014 has the measured peaks.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from steps.governance.errors import IntegrityError

INDEX = "model.safetensors.index.json"  # transformers' and vLLM's name
SHARD_BYTES = 5 * 10**9  # the hub's limit for one file of a model
_BYTES = 2  # of one bfloat16
_ALIGNMENT = 8  # bytes; safetensors' own writer aligns the first tensor in the same way

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Shard:
    """One file: its name, and the shapes of its tensors in the order in which they are written."""

    name: str
    shapes: Shapes

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(_header(self.shapes)) + sum(map(_size, self.shapes.values()))


def plan(shapes: Shapes, limit: int = SHARD_BYTES) -> list[Shard]:
    """Distribute bfloat16 tensors over files of at most `limit` bytes each, in order.

    A tensor that is larger than `limit` is alone in its file.
    """
    groups: list[dict[str, tuple[int, ...]]] = []
    room = 0
    for name, shape in shapes.items():
        if not groups or _size(shape) > room:
            groups.append({})
            room = limit
        groups[-1][name] = shape
        room -= _size(shape)
    return [
        Shard(f"model-{at:05d}-of-{len(groups):05d}.safetensors", group)
        for at, group in enumerate(groups, 1)
    ]


def write(path: Path, shard: Shard, tensors: Iterator[tuple[str, Tensor]]) -> None:
    """Take as many tensors from `tensors` as the shard has, and write them.

    Raises:
        IntegrityError: a tensor's name, shape or dtype differs from the plan.
    """
    with path.open("xb") as file:
        file.write(_header(shard.shapes))
        for name, shape in shard.shapes.items():
            got, tensor = next(tensors)
            if (got, tuple(tensor.shape), tensor.dtype) != (name, shape, torch.bfloat16):
                raise IntegrityError(
                    "the base model's files changed while they were read",
                    expected=f"{name} {shape} {torch.bfloat16}",
                    got=f"{got} {tuple(tensor.shape)} {tensor.dtype}",
                )
            file.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        file.flush()
        os.fsync(file.fileno())


def write_index(folder: Path, shards: list[Shard]) -> None:
    """Write the index: which file holds which tensor."""
    total = sum(_size(shape) for shard in shards for shape in shard.shapes.values())
    places = {name: shard.name for shard in shards for name in shard.shapes}
    document = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / INDEX).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _size(shape: tuple[int, ...]) -> int:
    return _BYTES * prod(shape)


def _header(shapes: Shapes) -> bytes:
    places: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        places[name] = {
            "dtype": "BF16",
            "shape": list(shape),
            "data_offsets": [end, end + _size(shape)],
        }
        end += _size(shape)
    text = json.dumps(places).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
