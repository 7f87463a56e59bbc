"""Rows on their way into the raw table: any number of them in little memory, read as often as needed, with one digest.

    rows = Rows()
    rows.append({"cik": "1", "item_1a": "…"})
    len(rows), rows.sha256, list(rows)

Up to `_IN_MEMORY_BYTES` they are held in memory, beyond that in a temporary file that has no name. So they may come from
anything that can be read once (a pipe, a generator).
"""

import hashlib
import json
import tempfile
import weakref
from collections.abc import Iterable, Iterator

Row = dict[str, str | None]

_IN_MEMORY_BYTES = 16 << 20


class Rows:
    """A sequence of rows that grows at its end; several readers do not disturb each other."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - closed in the next line
        weakref.finalize(self, self._file.close)
        self._digest = hashlib.sha256(b"[")
        self._rows = self._bytes = 0
        for row in rows:
            self.append(row)

    def append(self, row: Row) -> None:
        """Add a row after the last."""
        self._digest.update(b", " if self._rows else b"")
        self._digest.update(json.dumps(row, sort_keys=True).encode())
        self._file.seek(self._bytes)
        self._bytes += self._file.write(json.dumps(row).encode() + b"\n")
        self._rows += 1

    @property
    def sha256(self) -> str:
        """The digest of all rows in order: of their JSON array with sorted keys."""
        whole = self._digest.copy()
        whole.update(b"]")
        return whole.hexdigest()

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[Row]:
        place = 0
        while place < self._bytes:
            self._file.seek(place)
            line = self._file.readline()
            place += len(line)
            yield json.loads(line)
