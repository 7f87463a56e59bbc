"""Tokenized documents in a folder: written once in order, then read in any order from any process.

    with Writer(folder) as writer:
        writer.append(documents)
    documents = Documents(folder)
    documents[5].ids

`tokens.bin` holds the ids of all documents, 4 bytes each, without separators. `documents.bin` holds
one record of fixed size for each document: where its ids are, and what else is known about it.

Both are read with `pread`. Processes share no file position, and the pages belong to the kernel's
cache. Pages of a memory-mapped file would count as memory of this process, so its RSS would grow
with the corpus (docs/decisions/014-libraries-for-bytes.md has the measurement).
"""

import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, overload

import numpy as np
from numpy.lib.recfunctions import repack_fields
from numpy.typing import NDArray

from steps.governance.errors import IntegrityError
from steps.train.data import industries
from steps.train.data.document import Document
from steps.train.data.packing import Numbers
from steps.train.data.stratified import ORDER

_TOKEN = np.dtype("<i4")
_ID_BYTES = 64  # Prepare's example ids are 24 hex digits, its family ids 16
_RECORD = np.dtype(
    [
        ("offset", "<i8"),  # in tokens
        ("length", "<i4"),
        ("prompt_tokens", "<i4"),
        ("year", "<i4"),
        ("group", "u1"),  # position in industries.NAMES
        ("example_id", f"S{_ID_BYTES}"),
        ("family", f"S{_ID_BYTES}"),
    ]
)
_AT_ONCE = 4096  # records per read when one field of all records is read
_NO_YEAR = np.iinfo(np.int32).min


class Writer:
    """Append documents to a new store. The files are complete when the writer is closed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._tokens: IO[bytes] = (folder / "tokens.bin").open("xb")
        self._records: IO[bytes] = (folder / "documents.bin").open("xb")
        self._offset = 0

    def append(self, documents: Sequence[Document]) -> None:
        """Write documents after those that were written before.

        Raises:
            IntegrityError: an example id is longer than those that Prepare makes.
        """
        records = np.zeros(len(documents), _RECORD)
        for number, document in enumerate(documents):
            records[number] = _record(document, self._offset)
            self._offset += len(document)
            self._tokens.write(np.array(document.ids, _TOKEN).tobytes())
        self._records.write(records.tobytes())

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._tokens.close()
        finally:
            self._records.close()


class Documents(Sequence[Document]):
    """The documents of a store, each read when it is accessed.

    An object can be used after a fork, and can be pickled.

    Raises:
        IntegrityError: the sizes of the two files do not match.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tokens, self._records = (
            _opened(self, folder / name) for name in ("tokens.bin", "documents.bin")
        )
        self._count, rest = divmod(os.fstat(self._records).st_size, _RECORD.itemsize)
        tokens = int(self.lengths().sum(dtype=np.int64))
        if rest or os.fstat(self._tokens).st_size != tokens * _TOKEN.itemsize:
            raise IntegrityError(
                f"the token store in {folder} is damaged",
                expected=f"{tokens} tokens in {self._count} documents",
                got=f"{os.fstat(self._tokens).st_size} bytes of tokens, "
                f"{rest} stray bytes of records",
                do="start the job again",
            )

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> Document: ...
    @overload
    def __getitem__(self, number: slice) -> list[Document]: ...
    def __getitem__(self, number: int | slice) -> Document | list[Document]:
        """Read one document, or a list of documents."""
        if isinstance(number, slice):
            return [self[each] for each in range(self._count)[number]]
        at = range(self._count)[number]
        content = _pread(self._records, _RECORD.itemsize, at * _RECORD.itemsize)
        record = np.frombuffer(content, _RECORD)[0]
        size = int(record["length"]) * _TOKEN.itemsize
        offset = int(record["offset"]) * _TOKEN.itemsize
        ids = np.frombuffer(_pread(self._tokens, size, offset), _TOKEN)
        year = int(record["year"])
        return Document(
            tuple(ids.tolist()),
            int(record["prompt_tokens"]),
            bytes(record["example_id"]).decode(),
            None if year == _NO_YEAR else year,
            industries.NAMES[record["group"]],
            bytes(record["family"]).decode(),
        )

    def lengths(self) -> Numbers:
        """Return the number of tokens of each document, (documents,), from the records."""
        lengths: Numbers = self._column("length")
        return lengths

    def example_ids(self) -> NDArray[np.bytes_]:
        """Return the example id of each document, (documents,), as bytes."""
        return self._column("example_id")

    def strata(self) -> NDArray[Any]:
        """Return group, year, family and id of each document, (documents,) with these fields."""
        return self._column(list(ORDER))

    def _column(self, name: Any) -> NDArray[Any]:
        """Return one field of all records, or several, (documents,)."""
        column = np.empty(self._count, repack_fields(np.empty(0, _RECORD)[name]).dtype)
        for start in range(0, self._count, _AT_ONCE):
            count = min(_AT_ONCE, self._count - start)
            content = _pread(self._records, count * _RECORD.itemsize, start * _RECORD.itemsize)
            column[start : start + count] = np.frombuffer(content, _RECORD)[name]
        return column

    def __reduce__(self) -> tuple[type["Documents"], tuple[Path]]:
        return Documents, (self._folder,)


def _record(document: Document, offset: int) -> tuple[object, ...]:
    """Return the document's record; its ids begin `offset` tokens into `tokens.bin`."""
    example_id, family = _id_of(document.example_id), _id_of(document.family)
    year = _NO_YEAR if document.year is None else document.year
    group = industries.NAMES.index(document.group)
    return offset, len(document), document.prompt_tokens, year, group, example_id, family


def _id_of(text: str) -> bytes:
    content = text.encode()
    if len(content) > _ID_BYTES:
        raise IntegrityError(
            "an example id of the curated table is too long",
            expected=f"at most {_ID_BYTES} bytes",
            got=f"{len(content)} bytes: {text[:_ID_BYTES]}…",
            do="find out what wrote the curated table: Prepare makes ids of 24 hex digits, "
            "of families 16",
        )
    return content


def _opened(owner: object, path: Path) -> int:
    """Open a file for reading; the descriptor is closed when its owner is garbage-collected."""
    descriptor = os.open(path, os.O_RDONLY)
    weakref.finalize(owner, os.close, descriptor)
    return descriptor


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    """Read exactly `size` bytes at `offset`."""
    content = os.pread(descriptor, size, offset)
    if len(content) != size:
        raise IntegrityError(
            "the token store was cut short while it was read",
            expected=f"{size} bytes at {offset}",
            got=f"{len(content)} bytes",
            do="start the job again",
        )
    return content
