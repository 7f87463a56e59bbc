"""A base that does not fit one GPU, spread over all of them with FSDP2; its training state as shards.

    shard(model, device, count)           before Trainer sees it: each decoder layer's weights are split among the processes
    save(model, optimizer, folder)        adapters and optimizer state, each process its part; the frozen base never
    load(model, optimizer, folder)        by any number of processes, sharded or not: torch reads the parts it needs
    whole_adapters(model)                 the adapters' full tensors, for the one file that leaves the job

Each layer is gathered just before it runs, forward and backward, and let go again. Embedding, final norm and head stay
whole on every GPU: the loss multiplies by the head outside of any layer, so they would be gathered for the whole pass
anyway, and sharding them would cost traffic and save no memory at the peak.

transformers' Trainer knows models that were sharded before it got them, wraps nothing around those, and moves nothing.
The state is safetensors files with their offsets and one JSON file: torch's own format has a pickled index, which would
run what somebody put there.
"""

import json
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.distributed import is_initialized
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

FOLDER = "sharded"  # inside a checkpoint
_ADAPTER, _OPTIMIZER, _RATES = "adapter.", "optimizer.", "learning_rates.json"


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
    inner._is_distributed_loading_by_transformers = True  # what transformers' own sharding sets, and Trainer asks for


def is_sharded(model: nn.Module) -> bool:
    """Whether `shard` was here."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


def save(model: PeftModel, optimizer: torch.optim.Optimizer, folder: Path, *, leader: bool) -> None:
    """Write adapters and optimizer state below `folder`; every process calls it."""
    state: dict[str, Tensor] = {}
    for name, parameter in _trained(model).items():
        state[_ADAPTER + name] = parameter.detach()
        for key, value in optimizer.state[parameter].items():
            state[f"{_OPTIMIZER}{name}.{key}"] = value.reshape(-1) if value.dim() == 0 else value
    writer = HuggingFaceStorageWriter(str(folder / FOLDER), save_distributed=True)
    state_dict_saver.save(state, storage_writer=writer, no_dist=not is_initialized())
    if leader:
        rates = [group["lr"] for group in optimizer.param_groups]
        (folder / FOLDER / _RATES).write_text(json.dumps(rates), encoding="utf-8")


def load(model: PeftModel, optimizer: torch.optim.Optimizer | None, folder: Path) -> None:
    """Take adapters, and the optimizer's state if one is given, from what `save` wrote; every process calls it."""
    reader = HuggingFaceStorageReader(str(folder / FOLDER))
    entries: dict[str, Any] = reader.read_metadata().state_dict_metadata
    sizes = {name: entry.size for name, entry in entries.items()}
    trained = _trained(model)
    state: dict[str, Any] = {_ADAPTER + name: parameter.detach() for name, parameter in trained.items()}
    if optimizer is not None:
        state |= _room(trained, sizes)
    state_dict_loader.load(state, storage_reader=reader, no_dist=not is_initialized())
    if optimizer is not None:
        _restore(optimizer, trained, state, json.loads((folder / FOLDER / _RATES).read_bytes()))


def whole_adapters(model: PeftModel) -> dict[str, Tensor]:
    """Every adapter's full tensor on the CPU; every process calls it, and gets all of them."""
    return {name: _whole(parameter.detach()) for name, parameter in _trained(model).items()}


def _trained(model: PeftModel) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _room(trained: dict[str, nn.Parameter], sizes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Empty tensors for the optimizer state that a checkpoint holds, split as their parameters are here."""
    room: dict[str, Tensor] = {}
    for name, parameter in trained.items():
        prefix = f"{_OPTIMIZER}{name}."
        for key in (key for key in sizes if key.startswith(prefix)):
            like = sizes[key] == parameter.shape
            room[key] = torch.zeros_like(parameter.detach()) if like else torch.zeros(sizes[key])
    return room


def _restore(
    optimizer: torch.optim.Optimizer, trained: dict[str, nn.Parameter], state: dict[str, Tensor], rates: list[float]
) -> None:
    """The optimizer's state by name becomes its state by number."""
    names = {parameter: name for name, parameter in trained.items()}
    content = optimizer.state_dict()
    numbered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, parameter in enumerate(numbered):
        prefix = f"{_OPTIMIZER}{names[parameter]}."
        found = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        content["state"][number] = {key: value[0] if value.shape == (1,) else value for key, value in found.items()}
    for group, rate in zip(content["param_groups"], rates, strict=True):
        group["lr"] = rate
    optimizer.load_state_dict(content)


def _whole(value: Tensor) -> Tensor:
    return (value.full_tensor() if isinstance(value, DTensor) else value).cpu()
