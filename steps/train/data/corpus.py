"""The examples as packed rows on disk: tokenized once, in batches, and read row by row while training goes on.

    corpus = build(data.stream(…), Chat(base_model), folder, row_tokens=2048, seed=17)
    corpus.train.rows[3]                    # list[Document], read now
    corpus = open(folder)                   # another process of the same host

What is held in memory is a batch of text, and eight bytes or so per document for the packing. `corpus.json` is written
last, so a folder without it is no corpus.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa

from steps.governance.errors import IntegrityError, UsageError
from steps.train.data import curated_rows
from steps.train.data.chat_template import Chat
from steps.train.data.curated_rows import Example
from steps.train.data.packing import Packing, Row, best_fit
from steps.train.data.token_store import Documents, Writer
from steps.train.data.truncation import Lengths, fit

SPLITS = ("train", "eval")
_SCHEMA = "governed-finetune/corpus/1"
_TEXT_BYTES = (
    8 * 1024 * 1024
)  # of text tokenized at once; its ids as Python's integers take some ten times as much


class Rows(Sequence[Row]):
    """Packed rows; each is read from disk when it is asked for."""

    def __init__(self, documents: Documents, packing: Packing) -> None:
        self._documents, self._packing = documents, packing

    def __len__(self) -> int:
        return len(self._packing)

    @property
    def documents(self) -> int:
        """How many documents all rows hold together."""
        return len(self._packing.documents)

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> list[Row]: ...
    def __getitem__(self, number: int | slice) -> Row | list[Row]:
        """The row, or several."""
        if isinstance(number, slice):
            return [self[each] for each in range(len(self))[number]]
        return [self._documents[each] for each in self._packing.row(range(len(self))[number])]


@dataclass(frozen=True)
class Split:
    """One split: its documents in the table's order, the same packed into rows, and what became of their lengths."""

    documents: Documents
    rows: Rows
    lengths: Lengths

    def sampled(self, most: int, *, row_tokens: int, seed: int) -> Rows:
        """Rows of at most `most` documents (-1: all): those with the smallest example ids.

        Ids are digests, so these are a fair sample. It is the same in every process, for every seed and order of the table, so
        that losses of several trainings on the same examples are comparable.
        """
        if not 0 <= most < len(self.documents):
            return self.rows
        chosen = np.sort(np.argsort(self.documents.example_ids(), kind="stable")[:most])
        packing = best_fit(self.documents.lengths()[chosen], row_tokens, seed=seed)
        return Rows(self.documents, Packing(packing.starts, chosen[packing.documents]))


@dataclass(frozen=True)
class Corpus:
    """Both splits. `system` is the system message of every training example, "" where they differ: serving must say the
    same.
    """

    train: Split
    eval: Split
    system: str


def build(
    batches: Iterable[pa.RecordBatch], chat: Chat, folder: Path, *, row_tokens: int, seed: int
) -> Corpus:
    """Tokenize and pack the rows of the curated table (`steps.train.data.verified_table.stream`) into `folder`, which the caller removes.

    Raises:
        UsageError: a split holds no example that fits a row.
        IntegrityError: the rows are not what Prepare made; what was written so far is no corpus.
    """
    lengths = {split: Lengths() for split in SPLITS}
    systems = _Systems()
    with ExitStack() as stack:
        writers = {split: stack.enter_context(Writer(folder / split)) for split in SPLITS}
        for examples in _portions(batches):
            for split in SPLITS:
                rows = [example for example in examples if example.split == split]
                writers[split].append(fit(chat, rows, row_tokens, lengths[split]))
                if split == "train":
                    systems.see(rows)
    for split in SPLITS:
        _require_some(split, lengths[split], row_tokens)
        _pack(folder / split, row_tokens, seed)
    state = {split: lengths[split].state() for split in SPLITS}
    content = {"schema": _SCHEMA, "system": systems.common, "lengths": state}
    (folder / "corpus.json").write_text(json.dumps(content), encoding="utf-8")
    return open(folder)


def open(folder: Path) -> Corpus:
    """What `build` left in `folder`.

    Raises:
        IntegrityError: it did not get to its end there.
    """
    try:
        content = json.loads((folder / "corpus.json").read_bytes())
    except (OSError, ValueError) as error:
        raise IntegrityError(
            f"there is no corpus in {folder}",
            expected="corpus.json, which is written when all is tokenized and packed",
            got=f"{type(error).__name__}",
            do="start the job again",
        ) from error
    train, held_out = (
        _split(folder / split, Lengths.from_state(content["lengths"][split])) for split in SPLITS
    )
    return Corpus(train, held_out, content["system"])


def _portions(batches: Iterable[pa.RecordBatch]) -> Iterator[list[Example]]:
    """The rows, as many at once as hold `_TEXT_BYTES` of text; a longer row alone."""
    for batch in batches:
        pending = [batch]
        while pending:
            part = pending.pop()
            half = part.num_rows // 2
            if half and part.nbytes > _TEXT_BYTES:
                pending += [part.slice(half), part.slice(0, half)]
            else:
                yield curated_rows.examples(part)


class _Systems:
    """Whether all training examples have one system message, told without keeping them."""

    def __init__(self) -> None:
        self._first: str | None = None
        self._differ = False

    def see(self, rows: Sequence[Example]) -> None:
        for row in rows:
            self._first = row.system if self._first is None else self._first
            self._differ |= row.system != self._first

    @property
    def common(self) -> str:
        return "" if self._differ else self._first or ""


def _require_some(split: str, lengths: Lengths, row_tokens: int) -> None:
    if lengths.documents:
        return
    raise UsageError(
        f"the {split} split holds no example to use",
        expected=f"at least one example of at most {row_tokens} tokens",
        got=f"{lengths.examples} examples, the longest of {lengths.longest} tokens, {dict(lengths.affected_documents)}",
        do="give Prepare more filings (each split needs a company of its own), or raise SequenceLength",
    )


def _pack(folder: Path, row_tokens: int, seed: int) -> None:
    packing = best_fit(Documents(folder).lengths(), row_tokens, seed=seed)
    np.save(folder / "starts.npy", packing.starts)
    np.save(folder / "packed.npy", packing.documents)


def _split(folder: Path, lengths: Lengths) -> Split:
    documents = Documents(folder)
    packing = Packing(np.load(folder / "starts.npy"), np.load(folder / "packed.npy"))
    return Split(documents, Rows(documents, packing), lengths)
