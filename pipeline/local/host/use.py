"""Who uses an environment, so that no `run` stops what another one still uses.

    use.begin(fresh=True)       # while the folder is locked, so that no `down` comes between
    if use.may_stop(): …        # True for who started the servers, if nobody else uses them

Each `run` holds a shared lock on one file until it ends, however it ends: the system takes the
lock of a killed process away. `down` that a person types stops the servers also while a run
uses them.
"""

import fcntl
import os
from pathlib import Path


class Use:
    """One command's use of the environment in a folder."""

    def __init__(self, folder: Path) -> None:
        """Nothing is locked until `begin`."""
        self._file = folder / "users"
        self._descriptor: int | None = None
        self._fresh = False

    def begin(self, *, fresh: bool) -> None:
        """Note that this command uses the environment, and whether it started the servers."""
        self._fresh = fresh
        if self._descriptor is None:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    @property
    def started_here(self) -> bool:
        """Whether this command started the servers."""
        return self._fresh

    def may_stop(self) -> bool:
        """End this command's use; return whether it started the servers and nobody else uses them.

        It keeps others from beginning until this process ends.
        """
        if self._descriptor is None or not self._fresh:
            return False
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def end(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
