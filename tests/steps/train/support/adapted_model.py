"""A tiny model with adapters, for the tests of the merged export."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from steps.train.data.document import Document
from steps.train.model import lora, ministral, precision
from steps.train.planning.devices import Device

CPU = Device(torch.device("cpu"), "cpu", None)
DOCUMENTS = [Document((1, *range(20 + n, 80 + n), 2), 20, f"x{n}") for n in range(6)]


def adapt(base: Path, size: float = 0.05) -> Any:
    """Load a model and add adapters; `size` is the standard deviation of their B matrices."""
    torch.manual_seed(3)
    loaded = ministral.load(base, precision.decide("storage", CPU))
    adapted = lora.add_adapters(loaded, 4, base_model="tiny", revision="0" * 40)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, size)
    return adapted


def read(folder: Path) -> dict[str, Tensor]:
    """Return all tensors of the safetensors files in a folder."""
    return {
        name: tensor
        for path in folder.glob("*.safetensors")
        for name, tensor in load_file(path).items()
    }
