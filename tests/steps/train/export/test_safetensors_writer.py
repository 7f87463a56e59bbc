"""The safetensors library reads the files that are written tensor by tensor."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from steps.governance.errors import IntegrityError
from steps.train.export import safetensors_writer

pytestmark = pytest.mark.torch


def test_safetensors_reads_the_tensors_that_were_written(tmp_path: Path) -> None:
    tensors = {
        "a": torch.randn(3, 5).bfloat16(),
        "b.weight": torch.randn(7).bfloat16(),
        "empty": torch.zeros(0, 4).bfloat16(),
    }
    tensors["turned"] = torch.randn(4, 6).bfloat16().t()
    (shard,) = safetensors_writer.plan(
        {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    )
    safetensors_writer.write(tmp_path / shard.name, shard, iter(tensors.items()))
    read = load_file(tmp_path / shard.name)
    assert list(read) == list(tensors)
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


def test_a_tensor_larger_than_a_shard_is_alone_in_one() -> None:
    planned = safetensors_writer.plan({"a": (2,), "large": (100,), "b": (2,), "c": (2,)}, limit=8)
    assert [list(shard.shapes) for shard in planned] == [["a"], ["large"], ["b", "c"]]
    assert planned[2].name == "model-00003-of-00003.safetensors"


def test_a_base_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    (shard,) = safetensors_writer.plan({"a": (2, 2)})
    for name, tensor in (
        ("b", torch.zeros(2, 2)),
        ("a", torch.zeros(2, 3)),
        ("a", torch.zeros(2, 2).double()),
    ):
        with pytest.raises(IntegrityError, match="changed while they were read"):
            safetensors_writer.write(
                tmp_path / f"{name}{tensor.dtype}{len(tensor[0])}", shard, iter([(name, tensor)])
            )
