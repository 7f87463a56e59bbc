"""Read JSON documents from files, one at a time, in every form in which filings are published.

    for place, document in documents(Path("filings.jsonl.gz")): …     # place: `filings.jsonl.gz:12`

A file holds JSON lines, one JSON document over several lines, documents one after the other, or an
array of them; a folder holds such files at any depth. Each may be compressed with gzip, and begin
with a byte order mark (UTF-8 or UTF-16). Only the document that is being read is in memory, never a
whole file.
"""

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from pipeline.errors import UsageError
from pipeline.local.setup.text_files import PROBE, as_text, unusable

SUFFIXES = tuple(suffix + end for suffix in (".json", ".jsonl", ".ndjson") for end in ("", ".gz"))

_READ = 1 << 20  # characters; doubled until a document fits
_NEAR_THE_END = 64  # characters; a fault further in is not a cut-off document
_SPACE = re.compile(r"[ \t\r\n]*")


def size(path: Path) -> int:
    """Return the bytes of a file, or of a folder's files, as `documents` reads them.

    A pipe's are not known before it is read, nor those of what cannot be read: 0.
    """
    try:
        return sum(file.stat().st_size for file in _files(path))
    except (OSError, UsageError):
        return 0  # `documents` raises the reason


def documents(path: Path, add: Callable[[int], None] = lambda _: None) -> Iterator[tuple[str, Any]]:
    """Yield each document with its place; a faulty one, or a file without one, is a `ValueError` in
    place of the document. `add` takes the bytes that are read.

    Raises:
        UsageError: the file or folder cannot be read, the folder has no such file, or a file is not
            JSON.
    """
    for file in _files(path):
        empty = True
        for found in _of_file(file, add):
            empty = False
            yield found
        if empty:
            yield str(file), ValueError("no JSON document in it")


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.name.lower().endswith(SUFFIXES) and not file.name.startswith(".") and file.is_file()
    )
    if not found:
        raise UsageError(
            f"no filings in the folder {path}\n  expected  files that end in {' '.join(SUFFIXES)}"
        )
    return found


def _of_file(path: Path, add: Callable[[int], None]) -> Iterator[tuple[str, Any]]:
    window = _Window()
    try:
        with path.open("rb") as file:
            window.text = as_text(path, file, add)
            for line, document in _documents(window):
                yield f"{path}:{line}", document
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise unusable(
            path, f"is cut off or damaged gzip behind line {window.line}: {error}"
        ) from None
    except OSError as error:
        raise unusable(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise unusable(
            path, f"is not {error.encoding.upper()}: {error.reason} behind line {window.line}"
        ) from None


class _Window:
    """The part of a text that is in memory, and the number of its first line."""

    def __init__(self) -> None:
        self.text: TextIO = io.StringIO()
        self.buffer, self.position, self.line = "", 0, 1

    def more(self, size: int) -> bool:
        """Drop the part that was parsed, and read the next part."""
        self.line += self.buffer.count("\n", 0, self.position)
        added = self.text.read(size)
        self.buffer, self.position = self.buffer[self.position :] + added, 0
        return bool(added)

    def next(self) -> str:
        """Return the next character that is not white space, without taking it, or ""."""
        while True:
            rest = _SPACE.match(self.buffer, self.position)
            self.position = rest.end() if rest else self.position
            if self.position < len(self.buffer) or not self.more(_READ):
                return self.buffer[self.position : self.position + 1]

    def document(self) -> Any:
        """Return the document that begins here; a `ValueError` in place of a faulty one."""
        size = _READ
        while True:
            try:
                document, self.position = _DECODER.raw_decode(self.buffer, self.position)
            except json.JSONDecodeError as error:
                cut_off = error.pos > len(self.buffer) - _NEAR_THE_END or error.msg.startswith(
                    "Unterminated"
                )
                if not (cut_off and self.more(size)):
                    return ValueError(
                        f"not JSON ({error.msg} at line {self.line + error.lineno - 1} "
                        f"column {error.colno})"
                    )
                size *= 2
            except (ValueError, RecursionError) as fault:
                return _fault(fault)
            else:
                return document

    def here(self) -> int:
        """The line number of the next character."""
        return self.line + self.buffer.count("\n", 0, self.position)


def _documents(window: _Window) -> Iterator[tuple[int, Any]]:
    start = window.text.readline(PROBE)
    while start and not start.strip():
        window.line += 1
        start = window.text.readline(PROBE)
    if start.lstrip().startswith("[") or _is_cut_off(start):
        window.buffer = start
        return _one_after_the_other(window)
    return _one_a_line(window, start if start.endswith("\n") else start + window.text.readline())


def _is_cut_off(line: str) -> bool:
    """Return whether a document begins in this line and ends in a later one."""
    if not (line.endswith("\n") and line.lstrip().startswith("{")):
        return False
    fault = _parsed(line)
    cause = fault.__cause__ if isinstance(fault, ValueError) else None
    return isinstance(cause, json.JSONDecodeError) and cause.pos >= len(line.rstrip())


def _one_a_line(window: _Window, line: str) -> Iterator[tuple[int, Any]]:
    while line:
        if line.strip():
            yield window.line, _parsed(line)
        window.line += 1
        line = window.text.readline()


def _one_after_the_other(window: _Window) -> Iterator[tuple[int, Any]]:
    """Yield documents over several lines, or of an array; the first faulty one ends the file."""
    array = window.next() == "["
    window.position += array
    while sign := window.next():
        if array and sign == "]":
            window.position += 1
            array = False
            continue
        line, document = window.here(), window.document()
        yield line, document
        if isinstance(document, ValueError):
            return
        if array and window.next() == ",":
            window.position += 1
        elif array and window.next() != "]":
            break
    if array:
        yield (
            window.here(),
            ValueError("not JSON (',' or ']' is expected behind an element of the array)"),
        )


def _parsed(line: str) -> Any:
    try:
        return _DECODER.decode(line)
    except json.JSONDecodeError as error:
        fault = ValueError(f"not JSON ({error.msg} at column {error.colno})")
        fault.__cause__ = error
        return fault
    except (ValueError, RecursionError) as error:
        return _fault(error)


def _fault(error: Exception) -> ValueError:
    return (
        ValueError("not a filing (nested too deeply)")
        if isinstance(error, RecursionError)
        else ValueError(str(error))
    )


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(
            f"the field {next(name for name in names if names.count(name) > 1)!r} is there twice"
        )
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON; an absent value is null")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_no_number)
