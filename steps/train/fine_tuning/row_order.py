"""Which row comes when: a new order each epoch, the same for any number of processes.

    Trainer(train_dataset=Padded(rows), …) with Order(len(rows), seed=17, multiple=micro_rows * processes) as its sampler

The first steps of an epoch hold the same rows whether one process takes them or eight, so they are the same training.
Where the rows do not go round evenly, accelerate would give some processes rows of the epoch's beginning a second time;
here they get a blank row instead: one token without a label, which weighs nothing.
"""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from steps.train.data.document import Document
from steps.train.data.packing import Row

_BLANK = [Document((0,), 1)]


class Padded(Sequence[Row]):
    """The rows, and a blank one under every number beyond them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Row:  # type: ignore[override]  # Trainer asks for one row at a time
        """The row, read now."""
        return self._rows[number] if number < len(self._rows) else _BLANK


class Order(Sampler[int]):
    """All row numbers, shuffled by seed and epoch, then blank ones up to a multiple of `multiple`."""

    def __init__(self, rows: int, *, seed: int, multiple: int) -> None:
        self._rows, self._seed = rows, seed
        self._padded = -(-rows // multiple) * multiple
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """`SharedTrainer` calls this before each epoch, a resumed one too."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._padded

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        yield from torch.randperm(self._rows, generator=generator).tolist()
        yield from range(self._rows, self._padded)
