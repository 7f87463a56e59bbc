"""Tokenized documents on disk, in a folder: written once in order, then read one by one from any process.

    with Writer(folder) as writer:
        writer.append(documents)
    documents = Documents(folder)
    documents[5].ids

Two files: `tokens.bin`, all ids end to end, and `documents.bin`, one record of fixed size per document. They are read with
`pread`: no position to share between processes, and pages that the kernel caches, not pages of this process, as a mapped
file's would be. So a corpus of any size costs no memory but what is read at the moment.
"""

import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, overload

import numpy as np
from numpy.typing import NDArray

from steps.governance.errors import IntegrityError
from steps.train.data import industries
from steps.train.data.document import Document
from steps.train.data.packing import Numbers

_TOKEN = np.dtype("<i4")
_ID_BYTES = 64  # Prepare's example ids are 24 hex digits
_RECORD = np.dtype(
    [
        ("offset", "<i8"),  # in tokens
        ("length", "<i4"),
        ("prompt_tokens", "<i4"),
        ("year", "<i4"),
        ("group", "u1"),  # position in industries.NAMES
        ("example_id", f"S{_ID_BYTES}"),
    ]
)
_AT_ONCE = 4096  # records, where all are gone through
_NO_YEAR = np.iinfo(np.int32).min


class Writer:
    """Appends documents; the files are whole once it is closed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._tokens: IO[bytes] = (folder / "tokens.bin").open("xb")
        self._records: IO[bytes] = (folder / "documents.bin").open("xb")
        self._offset = 0

    def append(self, documents: Sequence[Document]) -> None:
        """Write these after those that are there.

        Raises:
            IntegrityError: an example id that Prepare never makes.
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
    """The documents of a folder, each read when it is asked for. Safe to use after a fork and to pickle.

    Raises:
        IntegrityError: the two files do not belong together.
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
                got=f"{os.fstat(self._tokens).st_size} bytes of tokens, {rest} stray bytes of records",
                do="start the job again",
            )

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> Document: ...
    @overload
    def __getitem__(self, number: slice) -> list[Document]: ...
    def __getitem__(self, number: int | slice) -> Document | list[Document]:
        """The document, or several."""
        if isinstance(number, slice):
            return [self[each] for each in range(self._count)[number]]
        at = range(self._count)[number]
        record = np.frombuffer(
            _pread(self._records, _RECORD.itemsize, at * _RECORD.itemsize), _RECORD
        )[0]
        size, offset = (
            int(record["length"]) * _TOKEN.itemsize,
            int(record["offset"]) * _TOKEN.itemsize,
        )
        ids = np.frombuffer(_pread(self._tokens, size, offset), _TOKEN)
        year = int(record["year"])
        return Document(
            tuple(ids.tolist()),
            int(record["prompt_tokens"]),
            bytes(record["example_id"]).decode(),
            None if year == _NO_YEAR else year,
            industries.NAMES[record["group"]],
        )

    def lengths(self) -> Numbers:
        """(documents,) how many tokens each has, without reading them."""
        lengths: Numbers = self._column("length")
        return lengths

    def example_ids(self) -> NDArray[np.bytes_]:
        """(documents,) the id of each, as bytes."""
        return self._column("example_id")

    def _column(self, name: str) -> NDArray[Any]:
        """(documents,) one field of all records."""
        column = np.empty(self._count, _RECORD[name])
        for start in range(0, self._count, _AT_ONCE):
            count = min(_AT_ONCE, self._count - start)
            content = _pread(self._records, count * _RECORD.itemsize, start * _RECORD.itemsize)
            column[start : start + count] = np.frombuffer(content, _RECORD)[name]
        return column

    def __reduce__(self) -> tuple[type["Documents"], tuple[Path]]:
        return Documents, (self._folder,)


def _record(document: Document, offset: int) -> tuple[object, ...]:
    example_id = document.example_id.encode()
    if len(example_id) > _ID_BYTES:
        raise IntegrityError(
            "an example id of the curated table is too long",
            expected=f"at most {_ID_BYTES} bytes",
            got=f"{len(example_id)} bytes: {document.example_id[:_ID_BYTES]}…",
            do="find out what wrote the curated table: Prepare makes ids of 24 hex digits",
        )
    year = _NO_YEAR if document.year is None else document.year
    group = industries.NAMES.index(document.group)
    return offset, len(document), document.prompt_tokens, year, group, example_id


def _opened(owner: object, path: Path) -> int:
    """A descriptor that is closed when its owner goes."""
    descriptor = os.open(path, os.O_RDONLY)
    weakref.finalize(owner, os.close, descriptor)
    return descriptor


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    content = os.pread(descriptor, size, offset)
    if len(content) != size:
        raise IntegrityError(
            "the token store was cut short while it was read",
            expected=f"{size} bytes at {offset}",
            got=f"{len(content)} bytes",
            do="start the job again",
        )
    return content
