"""Pack documents of any length into rows of one length, without padding.

`best_fit` decides which documents share a row, from their lengths alone. `collate` concatenates the
documents of a row: positions restart at 0 in each document, `cu_seq_lens` gives attention the
borders, and a document's first token has no label, because the token before it belongs to another
document.
"""

import random
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steps.train.data.document import Document

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100  # label of tokens that the loss skips; transformers' convention

Row = list[Document]
Numbers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Packing:
    """Which documents are in which row.

    Row i holds the documents `documents[starts[i]:starts[i + 1]]`. A document's number is its
    position in the input of `best_fit`.
    """

    starts: Numbers  # (rows + 1,)
    documents: Numbers  # (documents,)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def row(self, number: int) -> list[int]:
        """Return the numbers of one row's documents."""
        numbers: list[int] = self.documents[self.starts[number] : self.starts[number + 1]].tolist()
        return numbers


def best_fit(lengths: Numbers, row_tokens: int, *, seed: int) -> Packing:
    """Pack by best-fit decreasing: the longest document first, each into the fullest row it fits.

    Args:
        lengths: (documents,) tokens of each document.
        row_tokens: the tokens that a row holds at most.
        seed: shuffles the rows.

    Raises:
        ValueError: a document is empty or longer than a row.
    """
    if len(lengths) and not 0 < lengths.min() <= lengths.max() <= row_tokens:
        found = f"from {lengths.min()} to {lengths.max()}"
        raise ValueError(
            f"expected documents of 1 to at most {row_tokens} tokens, got some {found}"
        )
    longest_first = np.argsort(-lengths.astype(np.int64), kind="stable")
    row_of, count = _fill(lengths[longest_first].astype(np.int64), row_tokens)
    shuffled = list(range(count))
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - reproducible order, not a secret
    # (documents,) the shuffled row of each document
    place = np.argsort(np.array(shuffled, np.int64))[row_of]
    starts = np.concatenate([[0], np.bincount(place, minlength=count).cumsum()]).astype(np.int64)
    return Packing(starts, longest_first[np.argsort(place, kind="stable")].astype(np.int32))


def _fill(lengths: NDArray[np.int64], row_tokens: int) -> tuple[NDArray[np.int64], int]:
    """Return the row of each document (longest first) and the number of rows.

    Open rows are in buckets by their number of free tokens. Bit n of the integer `spaces` is set if
    bucket n is not empty. The tightest row for a document of `length` tokens is therefore in the
    bucket of the lowest set bit at or above `length`: finding it takes a shift and a mask, however
    many rows are open.
    """
    buckets: defaultdict[int, list[int]] = defaultdict(list)
    row_of, spaces, count = array("q"), 0, 0
    for length in lengths.data:  # the memoryview yields one int at a time, without a list of all
        fitting = spaces >> length
        if fitting:
            free = length + (fitting & -fitting).bit_length() - 1
            row = buckets[free].pop()
            if not buckets[free]:
                spaces ^= 1 << free
        else:
            free, row, count = row_tokens, count, count + 1
        if left := free - length:
            buckets[left].append(row)
            spaces |= 1 << left
        row_of.append(row)
    return np.frombuffer(row_of, np.int64) if row_of else np.zeros(0, np.int64), count


def packed(documents: Sequence[Document], row_tokens: int, *, seed: int) -> list[Row]:
    """Pack documents that are in memory; `steps.train.data.corpus` packs those on disk."""
    packing = best_fit(
        np.array([len(document) for document in documents], np.int32), row_tokens, seed=seed
    )
    return [[documents[each] for each in packing.row(number)] for number in range(len(packing))]


def collate(rows: Sequence[Row]) -> "dict[str, Tensor | int]":
    """Concatenate the documents of all rows into the one packed row that the model takes.

    Returns:
        `input_ids`, `labels` and `position_ids` of shape (1, tokens), int64; `cu_seq_lens_q` and
        `cu_seq_lens_k` of shape (documents + 1,), int32; `max_length_q` and `max_length_k` as ints.
        `label_positions`, (labels,), int64, are the positions that predict a token with a label:
        found here, they need not be read from the GPU.
        An `attention_mask` is left out: with one, transformers does not derive document borders
        from the positions, and a document would attend to its neighbours.
    """
    import torch  # here, because code that only packs does not need torch

    documents = list(chain.from_iterable(rows))
    lengths = [len(document) for document in documents]
    borders = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    labels = torch.tensor([list(chain.from_iterable(map(_labels, documents)))])
    return {
        "input_ids": torch.tensor([list(chain.from_iterable(d.ids for d in documents))]),
        "labels": labels,
        "label_positions": (labels[0, 1:] != IGNORED).nonzero()[:, 0],
        "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
        "cu_seq_lens_q": borders,
        "cu_seq_lens_k": borders,
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
    }


def _labels(document: Document) -> list[int]:
    masked = max(1, document.prompt_tokens)
    return [IGNORED] * masked + list(document.ids[masked:])
