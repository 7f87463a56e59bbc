"""How far a long work is: what is done of all, the rate, and the time that is left.

    pace = Pace(Work("tokenizing", 5_000, "examples"), log.info)
    pace.add(512)                       # in a job's log: a line after 3 s, then every 10 s
    with shown(Work("checking", 300, "records"), quiet=False) as add:
        add(1)                          # for the person at the terminal, on stderr

What ends within three seconds writes nothing. No colours are used.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

SILENT_SECONDS = 3.0
LINE_SECONDS = 10.0  # between two lines of a log, a file or a pipe
_TERMINAL_SECONDS = 0.5  # between two writings of a terminal's one line
_USUAL_COLUMNS = 80  # of a terminal that does not state its width
Clock = Callable[[], float]


@dataclass(frozen=True)
class Work:
    """A work that has a known end: what is done to how many of what."""

    doing: str
    total: int
    what: str

    def text(self, done: int, seconds: float) -> str:
        """Return how far it is after so many seconds."""
        rate = done / seconds if seconds else 0.0
        parts = [f"{self.doing} {done:,} of {self.total:,} {self.what}"]
        parts += [f"{rate:,.1f} {self.what}/s"] if rate else []
        parts += [f"{_duration((self.total - done) / rate)} left"] if 0 < done < self.total else []
        return " · ".join(parts)


class Pace:
    """Counts what is done, from any thread, and writes how far the work is when it is time."""

    def __init__(
        self,
        work: Work,
        write: Callable[[str], None],
        *,
        every: float = LINE_SECONDS,
        clock: Clock = time.monotonic,
    ) -> None:
        self._work, self._write, self._every, self._clock = work, write, every, clock
        self._began = clock()
        self._next = self._began + SILENT_SECONDS
        self._done, self._written = 0, False
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        """Count what is done now; with 0, only look at the time."""
        with self._lock:
            self._done += number
            now = self._clock()
            if now >= self._next:
                self._next, self._written = now + self._every, True
                self._write(self._work.text(self._done, now - self._began))

    def end(self) -> bool:
        """Write the last state, if anything was written before; return whether it was."""
        with self._lock:
            if self._written:
                self._write(self._work.text(self._done, self._clock() - self._began))
            return self._written


@contextmanager
def shown(
    work: Work, *, quiet: bool, stream: IO[str] | None = None
) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes what is done, and show it to a person on stderr.

    A terminal has one line that changes, also while nothing is done; a file or pipe has lines.
    """
    if quiet:
        yield lambda _: None
        return
    to = stream or sys.stderr
    line = _Line(to)
    pace = Pace(work, line.write, every=_TERMINAL_SECONDS if line.changes else LINE_SECONDS)
    over = threading.Event()
    looking = threading.Thread(target=_look, args=(pace, over), name="progress", daemon=True)
    looking.start()
    try:
        yield pace.add
    finally:
        over.set()
        looking.join()
        if line.changes and pace.end():
            to.write("\n")
            to.flush()


def _look(pace: Pace, over: threading.Event) -> None:
    while not over.wait(_TERMINAL_SECONDS):
        pace.add(0)


class _Line:
    """The line on a stream, which a terminal writes over."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._width = stream, 0
        self._columns = _columns(stream)
        self.changes = self._columns > 0

    def write(self, text: str) -> None:
        if self.changes:
            text = text[: self._columns - 1]  # a second line would not be written over
            self._stream.write(f"\r{text.ljust(self._width)}")
            self._width = len(text)
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()


def _columns(stream: IO[str]) -> int:
    """Return a terminal's width; 0 for a file, a pipe, and a terminal that cannot move back."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return 0
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_COLUMNS
    except OSError:  # it has no number, or no size
        return _USUAL_COLUMNS


def _duration(seconds: float) -> str:
    """Return `3.2 s`, `4 min 20 s` or `1 h 04 min`, as the commands of pipeline/ write it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
    )
