"""Split a base that does not fit one GPU among all of them with FSDP2, and save its training state.

    shard(model, device, count)           before Trainer is made: split each decoder layer
    save(model, optimizer, folder)        write the optimizer state, each process its part
    load(model, optimizer, folder)        read it with any number of processes, sharded or not
    whole_adapters(model)                 the complete tensors of the adapters

FSDP2 gathers each layer just before it runs, in forward and backward, and releases it afterwards.
Embedding, final norm and head stay whole on every GPU: the loss multiplies by the head outside of
any layer, so they would be gathered during the whole pass. Splitting them would cost traffic
without lowering the peak.

A model that is sharded before transformers' Trainer receives it is neither wrapped nor moved by it.
The frozen base is never saved, and checkpoints and results contain whole adapters. The optimizer
state is stored as safetensors files with their offsets and one JSON file. torch's own format is not
used: its index is pickled, so loading it would run code from the file.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.distributed import is_initialized
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

FOLDER = "sharded"  # inside a checkpoint
_RATES = "learning_rates.json"


def shard(model: PeftModel, device: torch.device, count: int) -> None:
    """Split every decoder layer, with its adapters, among `count` processes.

    The other parameters move to `device` as a whole.

    Load the model on the CPU first. Its tensors are then views of the safetensors file, so only the
    current layer and the shards of this process take memory.
    """
    inner: Any = model.base_model.model
    layers = list(inner.model.language_model.layers)
    split = {parameter for layer in layers for parameter in layer.parameters()}
    kept_whole = set(inner.parameters()) - split
    for parameter in kept_whole:
        parameter.data = parameter.data.to(device)
    mesh = init_device_mesh(device.type, (count,))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(inner, mesh=mesh, ignored_params=kept_whole)
    # transformers' own sharding sets this attribute, and Trainer reads it.
    inner._is_distributed_loading_by_transformers = True


def is_sharded(model: nn.Module) -> bool:
    """Return whether `shard` has split this model."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


def save(model: PeftModel, optimizer: torch.optim.Optimizer, folder: Path, *, leader: bool) -> None:
    """Write the optimizer state below `folder`. Every process calls this and writes its part."""
    state = {
        f"{name}.{key}": value.reshape(-1) if value.dim() == 0 else value
        for name, parameter in _trained(model).items()
        for key, value in optimizer.state[parameter].items()
    }
    writer = HuggingFaceStorageWriter(str(folder / FOLDER), save_distributed=True)
    state_dict_saver.save(state, storage_writer=writer, no_dist=not is_initialized())
    if leader:
        rates = [group["lr"] for group in optimizer.param_groups]
        (folder / FOLDER / _RATES).write_text(json.dumps(rates), encoding="utf-8")


def load(model: PeftModel, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Load the optimizer state that `save` wrote. Every process calls this and reads its part."""
    reader = HuggingFaceStorageReader(str(folder / FOLDER))
    entries: dict[str, Any] = reader.read_metadata().state_dict_metadata
    tensors = {name: _empty(_trained(model), name, entry.size) for name, entry in entries.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="torch.distributed is disabled", category=UserWarning
        )
        state_dict_loader.load(tensors, storage_reader=reader, no_dist=not is_initialized())
    content = optimizer.state_dict()
    names = {parameter: name for name, parameter in _trained(model).items()}
    for number, parameter in enumerate(_numbered(optimizer)):
        prefix = f"{names[parameter]}."
        content["state"][number] = {
            key.removeprefix(prefix): value[0] if value.shape == (1,) else value
            for key, value in tensors.items()
            if key.startswith(prefix)
        }
    rates = json.loads((folder / FOLDER / _RATES).read_bytes())
    for group, rate in zip(content["param_groups"], rates, strict=True):
        group["lr"] = rate
    optimizer.load_state_dict(content)


def load_whole(optimizer: torch.optim.Optimizer, content: dict[str, Any]) -> None:
    """Load the state of an optimizer that was not sharded; each process keeps its part."""
    for number, parameter in enumerate(_numbered(optimizer)):
        state = content["state"][number]
        content["state"][number] = {
            key: part_of(value, parameter) if value.shape == parameter.shape else value
            for key, value in state.items()
        }
    optimizer.load_state_dict(content)


def part_of(whole: Tensor, like: Tensor) -> Tensor:
    """Return this process's part of a whole tensor, split like the tensor `like`.

    Every process must have the whole tensor. If `like` is not split, all of it is returned.
    """
    if not isinstance(like, DTensor):
        return whole
    return distribute_tensor(
        whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )


def whole_adapters(model: PeftModel) -> dict[str, Tensor]:
    """Return the complete tensor of every adapter, on the CPU. Every process must call this."""
    return {name: _whole(parameter.detach()) for name, parameter in _trained(model).items()}


def _trained(model: PeftModel) -> dict[str, nn.Parameter]:
    return {
        name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad
    }


def _numbered(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Return the parameters in the order of their numbers in the optimizer state."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _empty(trained: dict[str, nn.Parameter], name: str, size: torch.Size) -> Tensor:
    """Return an empty tensor to load one entry of the state into.

    An entry with the shape of its parameter is split like the parameter; others are whole.
    """
    parameter = trained[name.rpartition(".")[0]]
    return torch.zeros_like(parameter.detach()) if size == parameter.shape else torch.zeros(size)


def _whole(value: Tensor) -> Tensor:
    return (value.full_tensor() if isinstance(value, DTensor) else value).cpu()
