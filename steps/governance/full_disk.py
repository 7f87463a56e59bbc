"""Report a full disk of this process as `DiskFull`, no matter which library fails.

with full_disk.explained(do="raise train.volume_gib in the configuration"):
    spool.write(chunk)
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from steps.governance.errors import GovernanceError

_FULL = (errno.ENOSPC, errno.EDQUOT)
# Errors without a number: safetensors writes in Rust, Spark in Java, and tempfile tries several
# folders
_WORDINGS = ("No space left on device", "No usable temporary directory")


class DiskFull(GovernanceError):
    """The volume that this process writes to has no room left."""


@contextmanager
def explained(*, do: str) -> Iterator[None]:
    """Turn errors of a full disk into `DiskFull`; let all other errors pass unchanged.

    `do` names the setting that makes this process's disk larger.

    Raises:
        DiskFull: a write failed because the disk is full.
    """
    try:
        yield
    except GovernanceError:
        raise
    except Exception as error:
        if not _is_full(error):
            raise
        raise DiskFull(
            "this job's disk is full",
            expected="room for the files of one execution",
            got=f"{type(error).__name__}: {str(error)[:200]}; {_room()}",
            do=do,
        ) from error


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(wording in str(error) for wording in _WORDINGS)


def _room() -> str:
    """Return where this process writes temporary files, and the bytes that are free there."""
    folder = tempfile.tempdir or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - only named
    try:
        return f"{shutil.disk_usage(folder).free} bytes are free in {folder}"
    except OSError as error:
        return f"{folder}: {error.strerror}"
