"""Report a full disk of this job as `DiskFull`, no matter which library fails.

with full_disk.explained():
    spool.write(chunk)
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from steps.governance.errors import GovernanceError

_FULL = (errno.ENOSPC, errno.EDQUOT)
# Errors without a number: safetensors writes in Rust, and tempfile tries several folders
_WORDINGS = ("No space left on device", "No usable temporary directory")


class DiskFull(GovernanceError):
    """This job's own volume has no room left."""


@contextmanager
def explained() -> Iterator[None]:
    """Turn errors of a full disk into `DiskFull`; let all other errors pass unchanged.

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
            expected="room for the model, one data file and the trained adapter",
            got=f"{type(error).__name__}: {str(error)[:200]}",
            do="raise train.volume_gib in the configuration",
        ) from error


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(wording in str(error) for wording in _WORDINGS)
