"""GPUs that tests pretend to have: the name and capability of a card, over this machine's CPU."""

from dataclasses import dataclass

import torch

from steps.train.planning.devices import Device


@dataclass(frozen=True)
class Card(Device):
    """A GPU by its CUDA name, whose tensors are on the CPU."""

    bytes_of_memory: int = 24 * 2**30

    def memory_bytes(self) -> int:
        return self.bytes_of_memory


def h100() -> Card:
    return Card(torch.device("cpu"), "NVIDIA H100 80GB HBM3", (9, 0))


def a10g() -> Card:
    return Card(torch.device("cpu"), "NVIDIA A10G", (8, 6))
