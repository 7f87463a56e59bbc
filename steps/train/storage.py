"""What the storage below a Delta table answers, as this project's errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import DeltaError, TableNotFoundError

from steps.governance.errors import (
    AccessDenied,
    GovernanceError,
    IntegrityError,
    NotFound,
    Unavailable,
)

# object_store's wording for S3's 401 and 403; its errors carry no code
_DENIED = re.compile(
    r"Forbidden|AccessDenied|Access Denied|status: 40[13]|InvalidToken|ExpiredToken|permission",
    re.I,
)
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Run one read; what goes wrong in it says what it was doing.

    Raises:
        IntegrityError: a file that should be there is gone.
        NotFound, AccessDenied, Unavailable: as the storage answered.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise IntegrityError(
            f"gone: {doing}",
            expected="the file that Prepare's manifest names",
            got=_short(error),
            do="find out who removed it, then start a new execution",
        ) from error
    except TableNotFoundError as error:
        raise NotFound(f"no Delta table there: {doing}", got=_short(error)) from error
    except (OSError, DeltaError) as error:
        if _DENIED.search(str(error)):
            raise AccessDenied(
                f"the storage refused: {doing}",
                expected="credentials that Unity Catalog vended for this table",
                got=_short(error),
                do="check the storage credential and the external location in Unity Catalog",
            ) from error
        kind = Unavailable if isinstance(error, OSError) else GovernanceError
        raise kind(f"the storage gave no usable answer: {doing}", got=_short(error)) from error


def _short(error: Exception) -> str:
    """delta-rs draws its errors as coloured trees over many lines."""
    return " ".join(_ESCAPES.sub("", str(error)).split())[:300]
