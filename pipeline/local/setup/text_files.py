"""Open a file as text: plain or in gzip, with or without a byte order mark (UTF-8 or UTF-16).

    with path.open("rb") as file:
        text = as_text(path, file, add)

What else it may be (Parquet, zip, a git-lfs pointer) is refused by its name.
"""

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from pipeline.errors import UsageError

PROBE = 1 << 16  # bytes or characters: enough to detect a file's form
_GZIP = b"\x1f\x8b"
_OTHER_FORMATS = (
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself"),
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
)


class _Counted(io.RawIOBase):
    """A file that counts the bytes that are read of it, before they are decompressed."""

    def __init__(self, file: BinaryIO, add: Callable[[int], None]) -> None:
        self._file, self._add = file, add

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        number: int = cast("io.BufferedReader", self._file).readinto(buffer)
        self._add(number)
        return number


def as_text(path: Path, file: BinaryIO, add: Callable[[int], None]) -> TextIO:
    """Return the file as text, decompressed and decoded by its byte order mark.

    `add` takes the bytes that are read of the file.

    Raises:
        UsageError: it is of another format.
    """
    stream = io.BufferedReader(cast("io.RawIOBase", _Counted(file, add)), PROBE)
    if stream.peek(2).startswith(_GZIP):
        stream = io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=stream)), PROBE)
    start = stream.peek(PROBE)
    for magic, name in _OTHER_FORMATS:
        if start.startswith(magic):
            raise unusable(path, f"is {name}")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return io.TextIOWrapper(stream, encoding="utf-16")
    if b"\0" in start:
        raise unusable(path, "is binary, or UTF-16 without a byte order mark")
    return io.TextIOWrapper(stream, encoding="utf-8-sig")


def unusable(path: Path, fault: str) -> UsageError:
    """Return the refusal of a file of filings."""
    return UsageError(
        f"the filings file {path} {fault}\n  expected  JSON or JSON lines in UTF-8, or such "
        "a file in gzip"
    )
