"""The order of rows: new in each epoch, and the same for any number of processes.

    Trainer(train_dataset=PaddedRows(rows), …)
    RowOrder(len(rows), seed=17, multiple=micro_rows * processes)      the sampler of this Trainer

The optimizer steps of an epoch hold the same rows for one process and for eight, so the training is
the same. If the last step has too few rows for all processes, accelerate would repeat rows from the
beginning of the epoch. Here the missing rows are blank instead: one token without a label, which
adds nothing to the loss.
"""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from steps.train.data.document import Document
from steps.train.data.packing import Row

_BLANK = [Document((0,), 1)]


class PaddedRows(Sequence[Row]):
    """The rows of a training, and a blank row at every index past the end."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Row:  # type: ignore[override]  # no slices
        """Read one row."""
        return self._rows[number] if number < len(self._rows) else _BLANK


class RowOrder(Sampler[int]):
    """All row numbers, shuffled by seed and epoch, then blank ones to a multiple of `multiple`."""

    def __init__(self, rows: int, *, seed: int, multiple: int) -> None:
        self._rows, self._seed = rows, seed
        self._padded = -(-rows // multiple) * multiple
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Select the order of an epoch. `SharedTrainer` calls this before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._padded

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        yield from torch.randperm(self._rows, generator=generator).tolist()
        yield from range(self._rows, self._padded)
