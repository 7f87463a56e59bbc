"""The rows for the raw table: any number of them in bounded memory, readable several times, with
one digest.

    rows = Rows()
    rows.append({"cik": "1", "item_1a": "…"})
    len(rows), rows[0], rows.sha256, list(rows)

Up to `_IN_MEMORY_BYTES` they are held in memory, beyond that in an unnamed temporary file. They may
therefore come from a source that can be read only once (a pipe, a generator).
"""

import hashlib
import json
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

Row = dict[str, str | None]

_IN_MEMORY_BYTES = 16 << 20


class Rows(Sequence[Row]):
    """A sequence of rows that grows at its end; it can be read by several iterators at once."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        # The finalizer in the next line closes it.
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._digest = hashlib.sha256(b"[")
        self._starts, self._bytes = array("q"), 0  # the offset of each row in the file, in bytes
        self.names: dict[str, None] = {}  # of all columns that a row has, in the order of the first
        for row in rows:
            self.append(row)

    def append(self, row: Row) -> None:
        """Append a row."""
        self.names |= dict.fromkeys(row)
        self._digest.update(b", " if self._starts else b"")
        self._digest.update(json.dumps(row, sort_keys=True).encode())
        self._file.seek(self._bytes)
        self._starts.append(self._bytes)
        self._bytes += self._file.write(json.dumps(row).encode() + b"\n")

    @property
    def sha256(self) -> str:
        """The digest of all rows in order: of their JSON array with sorted keys."""
        whole = self._digest.copy()
        whole.update(b"]")
        return whole.hexdigest()

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Row]:
        return (self._at(start) for start in self._starts)

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> list[Row]: ...
    def __getitem__(self, number: int | slice) -> Row | list[Row]:
        if isinstance(number, slice):
            return [self._at(start) for start in self._starts[number]]
        return self._at(self._starts[number])

    def _at(self, start: int) -> Row:
        self._file.seek(start)
        row: Row = json.loads(self._file.readline())
        return row
