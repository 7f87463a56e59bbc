"""The examples as packed rows on disk: tokenized once in batches, read row by row during training.

    corpus = build(verified_table.stream(…), Chat(base_model), folder, row_tokens=2048, seed=17)
    corpus.train.rows[3]                    # list[Document], read from disk here
    corpus = open(folder)                   # in another process of the same host

Memory holds one batch of text and about eight bytes per document for the packing. `corpus.json` is
written last, so a folder without it is incomplete.
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
from steps.train.data.document import Document
from steps.train.data.packing import Numbers, Packing, Row, best_fit
from steps.train.data.stratified import LEAST_EXAMPLES, spread, stratified
from steps.train.data.token_store import Documents, Writer
from steps.train.data.truncation import Lengths, fit

SPLITS = ("train", "eval")
_SCHEMA = "governed-finetune/corpus/1"
# Text that is tokenized at once. Its ids as Python integers take about ten times as much memory
_TEXT_BYTES = 8 * 1024 * 1024


class Rows(Sequence[Row]):
    """Packed rows. Each row is read from disk when it is accessed."""

    def __init__(self, documents: Documents, packing: Packing) -> None:
        self._documents, self._packing = documents, packing

    def __len__(self) -> int:
        return len(self._packing)

    @property
    def documents(self) -> int:
        """How many documents are in all rows together."""
        return len(self._packing.documents)

    @property
    def numbers(self) -> Numbers:
        """The numbers of these documents in their split, ascending."""
        return np.sort(self._packing.documents)

    @property
    def tokens(self) -> int:
        """The tokens of all documents."""
        return int(self._documents.lengths()[self._packing.documents].sum(dtype=np.int64))

    def spread(self, most: int) -> list[Document]:
        """Return at most `most` documents, spread over years, industries and families."""
        numbers = self.numbers
        chosen = spread(self._documents.strata()[numbers], most)
        return [self._documents[int(each)] for each in numbers[chosen]]

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> list[Row]: ...
    def __getitem__(self, number: int | slice) -> Row | list[Row]:
        """Read one row, or a list of rows."""
        if isinstance(number, slice):
            return [self[each] for each in range(len(self))[number]]
        return [self._documents[each] for each in self._packing.row(range(len(self))[number])]


@dataclass(frozen=True)
class Split:
    """One split: its documents in the table's order, the packed rows, and statistics of lengths."""

    documents: Documents
    rows: Rows
    lengths: Lengths

    def sampled(self, most: int, *, row_tokens: int, seed: int) -> Rows:
        """Pack a sample of at most `most` documents (-1: all): those with the smallest example ids.

        Ids are digests, so this is a random sample. It is the same in every process, for every seed
        and for every order of the table, so that losses of several trainings on the same examples
        are comparable.
        """
        if not 0 <= most < len(self.documents):
            return self.rows
        chosen = np.sort(np.argsort(self.documents.example_ids(), kind="stable")[:most])
        return self._packed(chosen, row_tokens, seed)

    def stratified(self, rows: Rows, most_tokens: int, *, row_tokens: int, seed: int) -> Rows:
        """Pack a sample of `rows` with their mix of years, industries and families.

        It is `rows` itself where all of them are in the sample. The sample has at least
        `LEAST_EXAMPLES`, because a mean over fewer varies too much.
        """
        numbers = rows.numbers
        found = stratified(
            self.documents.strata()[numbers],
            self.documents.lengths()[numbers],
            most_tokens=most_tokens,
            least=LEAST_EXAMPLES,
        )
        if len(found) == len(numbers):
            return rows
        return self._packed(numbers[found], row_tokens, seed)

    def _packed(self, chosen: Numbers, row_tokens: int, seed: int) -> Rows:
        packing = best_fit(self.documents.lengths()[chosen], row_tokens, seed=seed)
        return Rows(self.documents, Packing(packing.starts, chosen[packing.documents]))


@dataclass(frozen=True)
class Corpus:
    """Both splits.

    `system` is the system message of every training example, "" where they differ. A server of the
    model must use the same message.
    """

    train: Split
    eval: Split
    system: str

    @property
    def lengths(self) -> dict[str, Lengths]:
        """The lengths of the examples by split."""
        return {"train": self.train.lengths, "eval": self.eval.lengths}


def build(
    batches: Iterable[pa.RecordBatch], chat: Chat, folder: Path, *, row_tokens: int, seed: int
) -> Corpus:
    """Tokenize and pack the rows of the curated table.

    Args:
        batches: the rows, from `steps.train.data.verified_table.stream`.
        chat: the base model's chat format.
        folder: a new folder for the corpus. The caller removes it.
        row_tokens: tokens of a packed row.
        seed: shuffles the rows.

    Raises:
        UsageError: a split has no example that fits a row.
        IntegrityError: the rows are not those that Prepare made. The folder is then incomplete.
    """
    lengths = {split: Lengths() for split in SPLITS}
    systems = _SystemMessages()
    with ExitStack() as stack:
        writers = {split: stack.enter_context(Writer(folder / split)) for split in SPLITS}
        for examples in _portions(batches):
            for split in SPLITS:
                rows = [example for example in examples if example.split == split]
                writers[split].append(fit(chat, rows, row_tokens, lengths[split]))
                if split == "train":
                    systems.add(rows)
    for split in SPLITS:
        _require_some(split, lengths[split], row_tokens)
        _pack(folder / split, row_tokens, seed)
    state = {split: lengths[split].state() for split in SPLITS}
    content = {"schema": _SCHEMA, "system": systems.common, "lengths": state}
    (folder / "corpus.json").write_text(json.dumps(content), encoding="utf-8")
    return open(folder)


def open(folder: Path) -> Corpus:
    """Open the corpus that `build` wrote to `folder`.

    Raises:
        IntegrityError: `build` did not finish there.
    """
    try:
        content = json.loads((folder / "corpus.json").read_bytes())
    except (OSError, ValueError) as error:
        raise IntegrityError(
            f"{folder} holds no complete corpus",
            expected="corpus.json, which is written after everything is tokenized and packed",
            got=f"{type(error).__name__}",
            do="start the job again",
        ) from error
    train, held_out = (
        _split(folder / split, Lengths.from_state(content["lengths"][split])) for split in SPLITS
    )
    return Corpus(train, held_out, content["system"])


def _portions(batches: Iterable[pa.RecordBatch]) -> Iterator[list[Example]]:
    """Split batches into portions of at most `_TEXT_BYTES`; a longer row is a portion alone."""
    for batch in batches:
        pending = [batch]
        while pending:
            part = pending.pop()
            half = part.num_rows // 2
            if half and part.nbytes > _TEXT_BYTES:
                pending += [part.slice(half), part.slice(0, half)]
            else:
                yield curated_rows.examples(part)


class _SystemMessages:
    """Find the common system message of all rows without keeping the rows."""

    def __init__(self) -> None:
        self._first: str | None = None
        self._differ = False

    def add(self, rows: Sequence[Example]) -> None:
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
        f"the {split} split has no usable example",
        expected=f"at least one example of at most {row_tokens} tokens",
        got=f"{lengths.examples} examples, the longest of {lengths.longest} tokens, "
        f"{dict(lengths.affected_documents)}",
        do="give Prepare more filings (each split needs at least one company that the other does "
        "not have), or raise SequenceLength",
    )


def _pack(folder: Path, row_tokens: int, seed: int) -> None:
    packing = best_fit(Documents(folder).lengths(), row_tokens, seed=seed)
    np.save(folder / "starts.npy", packing.starts)
    np.save(folder / "packed.npy", packing.documents)


def _split(folder: Path, lengths: Lengths) -> Split:
    documents = Documents(folder)
    packing = Packing(np.load(folder / "starts.npy"), np.load(folder / "packed.npy"))
    return Split(documents, Rows(documents, packing), lengths)
