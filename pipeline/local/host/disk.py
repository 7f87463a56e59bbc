"""The disk that holds the embedded environment's state: enough room before the start, and a note
when it is full at the end.

A full disk ends a server or a job with its own message, wherever the first write fails. The note
names the cause after any of them.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.command import note
from pipeline.errors import UsageError

if TYPE_CHECKING:  # it imports the processes, which `--help` need not wait for
    from pipeline.local.host.state import State

# A margin, not a measurement: a job's folders and spools come on top of what a run leaves.
MINIMUM_MIB = 512
_FULL_MIB = 32  # below it SQLite, ministack or a job has failed to write
_MIB = 1 << 20


class NoRoom(UsageError):
    """The disk has too little room for the environment. Nothing was started."""


def require_room(folder: Path) -> None:
    """Check that the disk has MINIMUM_MIB free; `folder` need not exist.

    Raises:
        NoRoom: it has less.
    """
    free = free_mib(folder)
    if free < MINIMUM_MIB:
        message = (
            f"the disk of {folder} has no room for the environment\n"
            f"  expected  {MINIMUM_MIB} MiB free\n"
            f"  got       {free} MiB\n"
            "  do        make room, or choose a folder on another disk with --state"
        )
        raise NoRoom(message)


@contextmanager
def noted_if_full(state: "State") -> Iterator[None]:
    """Write a note to stderr if the disk is full after a block, whose failure may not name it."""
    try:
        yield
    except NoRoom:  # its message has it all
        raise
    except BaseException:
        note_if_full(state)
        raise
    note_if_full(state)


def note_if_full(state: "State") -> None:
    """Write a note to stderr if the disk is full."""
    folder = state.folder
    free = free_mib(folder)
    if free < _FULL_MIB:
        note(
            f"the disk of {folder} is full: {free} MiB are free, and something could not be "
            f"written\n  do        make room, then start it again: {state.typed('up')}"
        )


def free_mib(folder: Path) -> int:
    """Return how many MiB this user may still write on the disk of `folder`."""
    place = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(place).free // _MIB
