"""Show how far a command is with a long work: what is done, the rate, and the time that is left.

    with amount.shown("uploading", total) as add:
        add(8_388_608)      # bytes that are done now; from any thread
    with amount.shown("loading", 20_000, unit=Unit("filings")) as add: …

What ends within three seconds shows nothing. After that a terminal has one line that changes, and
a file or pipe a line every ten seconds. --quiet leaves them out. No colours are used.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from pipeline import command
from pipeline.execution.progress import LINE_SECONDS, duration

Add = Callable[[int], None]
SILENT_SECONDS = 3.0
_TERMINAL_SECONDS = 0.5  # between two writings of the line


@dataclass(frozen=True)
class Unit:
    """What is counted, and how many of it one shown unit has."""

    name: str
    size: int = 1


MEGABYTES = Unit("MB", 10**6)  # of bytes


@contextmanager
def shown(
    doing: str,
    total: int,
    *,
    unit: Unit = MEGABYTES,
    stream: IO[str] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Add]:
    """Yield a function that takes what is done; `total` is all of it, 0 where nobody knows."""
    if command.quiet():
        yield lambda _: None
        return
    line = _Line((doing, total, unit), stream or sys.stderr, clock)
    try:
        yield line.add
    finally:  # an error's message begins on a new line
        line.end()


class _Line:
    """The line about one amount. boto3 adds to it from its own threads."""

    def __init__(
        self, work: tuple[str, int, Unit], stream: IO[str], clock: Callable[[], float]
    ) -> None:
        self._doing, self._total, self._unit = work
        self._stream, self._clock = stream, clock
        self._columns = command.columns(stream)
        self._began = clock()
        self._next = self._began + SILENT_SECONDS
        self._done, self._width = 0, 0
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        """Count what is done, and write the line if it is time."""
        with self._lock:
            self._done += number
            now = self._clock()
            if now >= self._next:
                self._next = now + (_TERMINAL_SECONDS if self._columns else LINE_SECONDS)
                self._write(self._text(now - self._began))

    def end(self) -> None:
        """Leave the terminal's last line whole."""
        if self._columns and self._width:
            self._write(self._text(self._clock() - self._began))
            self._stream.write("\n")
            self._stream.flush()

    def _text(self, seconds: float) -> str:
        unit, rate = self._unit, self._done / seconds if seconds else 0.0
        of = f" of {self._total / unit.size:,.0f}" if self._total else ""
        parts = [
            f"{self._doing:<10} {self._done / unit.size:,.0f}{of} {unit.name}",
            f"{rate / unit.size:,.1f} {unit.name}/s",
        ]
        if rate and self._done < self._total:
            parts.append(f"{duration((self._total - self._done) / rate)} left")
        return " · ".join(parts)

    def _write(self, text: str) -> None:
        if self._columns:
            text = text[: self._columns - 1]  # a second line would not be written over
            self._stream.write(f"\r{text.ljust(self._width)}")
            self._width = len(text)
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()
