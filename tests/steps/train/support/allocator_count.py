"""Count the bytes that a training step takes, with torch's allocator: exact and reproducible."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.autograd.profiler import profile

from steps.train.data.document import Document
from steps.train.data.packing import collate
from steps.train.model import lora, ministral
from steps.train.model.precision import Precision
from steps.train.planning.devices import Device

CPU = Device(torch.device("cpu"), "cpu", None)


def precision(effective: str = "storage", dtype: torch.dtype = torch.float32) -> Precision:
    """Return a precision on CPU, also one that decide() never chooses there, as it is slow."""
    return Precision(effective, effective, dtype, CPU)


def model_of(script: ModuleType, folder: Path, **sizes: int) -> Path:
    """A model by pipeline.local.setup.tiny_model, tiny but for these sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = dataclasses.replace(script.TINY, **sizes)
    script.write_configuration(folder, shape)
    script.write_weights(folder, 17, shape)
    return folder


def adapted(folder: Path, rank: int, how: Precision) -> Any:
    """Load the model and add adapters whose product is not zero."""
    torch.manual_seed(0)
    tuned = lora.add_adapters(
        ministral.load(folder, how), rank, base_model="tiny", revision="0" * 40
    ).train()
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    return tuned


def row(*lengths: int, labelled: float = 0.5) -> dict[str, torch.Tensor | int]:
    """Return one packed row of documents of these lengths."""
    generator = torch.Generator().manual_seed(3)
    return collate(
        [
            [
                Document(
                    tuple(torch.randint(20, 500, (n,), generator=generator).tolist()),
                    round(n * (1 - labelled)),
                )
                for n in lengths
            ]
        ]
    )


def saved_bytes(module: torch.nn.Module, forward: Callable[[], Any]) -> int:
    """Return the bytes that autograd saves for backward: each storage once, without parameters."""
    own = {p.untyped_storage().data_ptr() for p in module.parameters()}
    # By address; the storages are kept, because a freed address would be used again.
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = forward()
    del result
    return sum(storage.nbytes() for storage in kept.values())


def peak_bytes(step: Callable[[], Any]) -> int:
    """Return the peak of allocated bytes during `step`, above those at its beginning."""
    with profile(profile_memory=True) as record:
        step()
    events = [event for event in record.kineto_results.events() if event.name() == "[memory]"]
    held = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest
