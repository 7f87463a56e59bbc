"""Errors of reading the curated table, as this project's errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import DeltaError, TableNotFoundError

from steps.governance.delta_storage import one_line, storage_error
from steps.governance.errors import IntegrityError, NotFound


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Run one read of the table; `doing` describes it in the error.

    Raises:
        IntegrityError: a file that Prepare's manifest names is missing.
        NotFound: the location holds no Delta table.
        AccessDenied, Unavailable, GovernanceError: see `steps.governance.delta_storage`.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise IntegrityError(
            f"cannot {doing}: the file is missing",
            expected="the file that Prepare's manifest names",
            got=one_line(error),
            do="find out who removed it, then start a new execution",
        ) from error
    except TableNotFoundError as error:
        raise NotFound(
            f"cannot {doing}: the location holds no Delta table", got=one_line(error)
        ) from error
    except (OSError, DeltaError) as error:
        raise storage_error(doing, error) from error
