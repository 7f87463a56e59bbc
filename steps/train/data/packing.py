"""Documents of any length into rows of one length, without padding and without leaks.

`best_fit` decides which documents share a row, from their lengths alone; `collate` lays them end to end, with positions
that start anew in each, the borders that attention needs, and no label on a document's first token (its left neighbour is
another document).
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

from steps.train.data.industries import UNKNOWN

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100  # label of tokens that the loss skips; transformers' convention


@dataclass(frozen=True, slots=True)
class Document:
    """One tokenized example; the loss looks at the tokens from `prompt_tokens` on."""

    ids: tuple[int, ...]
    prompt_tokens: int
    example_id: str = ""
    year: int | None = None  # of the filing
    group: str = UNKNOWN  # of companies (`steps.train.data.industries`)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def target_tokens(self) -> int:
        """How many tokens carry a label; a document's first token never does."""
        return len(self.ids) - max(1, self.prompt_tokens)


Row = list[Document]
Numbers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Packing:
    """Row i is made of the documents `documents[starts[i]:starts[i + 1]]`, numbered as they were given."""

    starts: Numbers  # (rows + 1,)
    documents: Numbers  # (documents,)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def row(self, number: int) -> list[int]:
        """The numbers of one row's documents."""
        numbers: list[int] = self.documents[self.starts[number] : self.starts[number + 1]].tolist()
        return numbers


def best_fit(lengths: Numbers, row_tokens: int, *, seed: int) -> Packing:
    """Best-fit decreasing: each document, longest first, goes where least room is left. Rows come out shuffled by
    `seed`.

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
    place = np.argsort(np.array(shuffled, np.int64))[
        row_of
    ]  # (documents,), where each one's row ended up
    starts = np.concatenate([[0], np.bincount(place, minlength=count).cumsum()]).astype(np.int64)
    return Packing(starts, longest_first[np.argsort(place, kind="stable")].astype(np.int32))


def _fill(lengths: NDArray[np.int64], row_tokens: int) -> tuple[NDArray[np.int64], int]:
    """The row of each document, longest first, and how many rows there are.

    Rows stand in buckets by their free tokens; bit n of `spaces` says whether bucket n holds any. The lowest bit from a
    document's length on is the tightest fit, so a document costs the same however many rows there are.
    """
    buckets: defaultdict[int, list[int]] = defaultdict(list)
    row_of, spaces, count = array("q"), 0, 0
    for length in lengths.data:  # one number at a time, not a list of all
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
    """Rows of documents that are in memory; `steps.train.data.corpus` does the same for those on disk."""
    packing = best_fit(
        np.array([len(document) for document in documents], np.int32), row_tokens, seed=seed
    )
    return [[documents[each] for each in packing.row(number)] for number in range(len(packing))]


def collate(rows: Sequence[Row]) -> "dict[str, Tensor | int]":
    """Rows as the one packed row (1, tokens) that the model takes. There is no attention mask, on purpose: with one,
    transformers stops looking at the positions, and documents see each other.
    """
    import torch  # here, because whoever only packs needs none of it

    documents = list(chain.from_iterable(rows))
    lengths = [len(document) for document in documents]
    borders = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    return {
        "input_ids": torch.tensor([list(chain.from_iterable(d.ids for d in documents))]),
        "labels": torch.tensor([list(chain.from_iterable(map(_labels, documents)))]),
        "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
        "cu_seq_lens_q": borders,
        "cu_seq_lens_k": borders,
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
    }


def _labels(document: Document) -> list[int]:
    masked = max(1, document.prompt_tokens)
    return [IGNORED] * masked + list(document.ids[masked:])
