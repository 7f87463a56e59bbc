"""Documents of any length into rows of one length, without padding and without leaks.

`best_fit` decides which documents share a row; `collate` lays them end to end, with positions that start anew in each,
the borders that attention needs, and no label on a document's first token (its left neighbour is another document).
"""

import bisect
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import torch
from torch import Tensor

from steps.train.loss import IGNORED


@dataclass(frozen=True, slots=True)
class Document:
    """One tokenized example; the loss looks at the tokens from `prompt_tokens` on."""

    ids: tuple[int, ...]
    prompt_tokens: int
    example_id: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def target_tokens(self) -> int:
        """How many tokens carry a label; a document's first token never does."""
        return len(self.ids) - max(1, self.prompt_tokens)


Row = list[Document]


def best_fit(documents: Sequence[Document], row_tokens: int, *, seed: int) -> list[Row]:
    """Best-fit decreasing: each document, longest first, goes where least room is left. Rows come out shuffled by
    `seed`.

    Raises:
        ValueError: a document is longer than a row.
    """
    rows: list[Row] = []
    room: list[tuple[int, int]] = []  # (free tokens, row), sorted
    for document in sorted(documents, key=len, reverse=True):
        if len(document) > row_tokens:
            raise ValueError(f"expected documents of at most {row_tokens} tokens, got one of {len(document)}")
        at = bisect.bisect_left(room, (len(document), -1))
        free, row = room.pop(at) if at < len(room) else (row_tokens, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(document)
        bisect.insort(room, (free - len(document), row))
    random.Random(seed).shuffle(rows)  # noqa: S311 - reproducible order, not a secret
    return rows


def collate(rows: Sequence[Row]) -> dict[str, Tensor | int]:
    """Rows as the one packed row (1, tokens) that the model takes. There is no attention mask, on purpose: with one,
    transformers stops looking at the positions, and documents see each other.
    """
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
