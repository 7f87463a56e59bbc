"""A base that does not fit one GPU, spread over all of them with FSDP2; its training state as shards.

    shard(model, device, count)           before Trainer sees it: each decoder layer's weights are split among the processes
    save(model, optimizer, folder)        the optimizer's state, each process its part; the frozen base is never saved
    load(model, optimizer, folder)        by any number of processes, sharded or not: torch reads the parts it needs
    whole_adapters(model)                 the adapters' full tensors: a checkpoint has them whole, as the result does

Each layer is gathered just before it runs, forward and backward, and let go again. Embedding, final norm and head stay
whole on every GPU: the loss multiplies by the head outside of any layer, so they would be gathered for the whole pass
anyway, and sharding them would cost traffic and save no memory at the peak.

transformers' Trainer knows models that were sharded before it got them, wraps nothing around those, and moves nothing.
The state is safetensors files with their offsets and one JSON file: torch's own format has a pickled index, which would
run what somebody put there.
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
    """Split every decoder layer, its adapters with it, among `count` processes; what is not split goes to `device`.

    Load the model on the CPU first: safetensors' tensors are views of the file there, so only the layer at hand and the
    shards kept take memory.
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
    inner._is_distributed_loading_by_transformers = (
        True  # what transformers' own sharding sets, and Trainer asks for
    )


def is_sharded(model: nn.Module) -> bool:
    """Whether `shard` was here."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


def save(model: PeftModel, optimizer: torch.optim.Optimizer, folder: Path, *, leader: bool) -> None:
    """Write the optimizer's state below `folder`; every process calls it and writes its part."""
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
    """Take the optimizer's state from what `save` wrote; every process calls it and reads what it needs."""
    reader = HuggingFaceStorageReader(str(folder / FOLDER))
    entries: dict[str, Any] = reader.read_metadata().state_dict_metadata
    places = {name: _room(_trained(model), name, entry.size) for name, entry in entries.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="torch.distributed is disabled", category=UserWarning
        )
        state_dict_loader.load(places, storage_reader=reader, no_dist=not is_initialized())
    content = optimizer.state_dict()
    names = {parameter: name for name, parameter in _trained(model).items()}
    for number, parameter in enumerate(_numbered(optimizer)):
        prefix = f"{names[parameter]}."
        content["state"][number] = {
            key.removeprefix(prefix): value[0] if value.shape == (1,) else value
            for key, value in places.items()
            if key.startswith(prefix)
        }
    rates = json.loads((folder / FOLDER / _RATES).read_bytes())
    for group, rate in zip(content["param_groups"], rates, strict=True):
        group["lr"] = rate
    optimizer.load_state_dict(content)


def load_whole(optimizer: torch.optim.Optimizer, content: dict[str, Any]) -> None:
    """Take the state of an optimizer that was not sharded, each process its part."""
    for number, parameter in enumerate(_numbered(optimizer)):
        state = content["state"][number]
        content["state"][number] = {
            key: part_of(value, parameter) if value.shape == parameter.shape else value
            for key, value in state.items()
        }
    optimizer.load_state_dict(content)


def part_of(whole: Tensor, like: Tensor) -> Tensor:
    """This process's part of a tensor that every process has whole, split like another; all of it if that is not split."""
    if not isinstance(like, DTensor):
        return whole
    return distribute_tensor(
        whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )


def whole_adapters(model: PeftModel) -> dict[str, Tensor]:
    """Every adapter's full tensor on the CPU; every process calls it, and gets all of them."""
    return {name: _whole(parameter.detach()) for name, parameter in _trained(model).items()}


def _trained(model: PeftModel) -> dict[str, nn.Parameter]:
    return {
        name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad
    }


def _numbered(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """The parameters in the order in which an optimizer's state counts them."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _room(trained: dict[str, nn.Parameter], name: str, size: torch.Size) -> Tensor:
    """An empty tensor for one part of the saved state: split like its parameter, if it has its parameter's shape."""
    parameter = trained[name.rpartition(".")[0]]
    return torch.zeros_like(parameter.detach()) if size == parameter.shape else torch.zeros(size)


def _whole(value: Tensor) -> Tensor:
    return (value.full_tensor() if isinstance(value, DTensor) else value).cpu()
