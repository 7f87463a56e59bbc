"""Errors of the object store below a Delta table, as this project's errors.

    except (OSError, DeltaError) as error:
        raise storage_error("read table edgar.raw.filings", error) from error
    DeltaTable(location, storage_options=keys | retries(WORKING_SECONDS))
    DeltaStorageHandler(location, briefly(keys))

delta-rs and its object_store report most failures of S3 as text, without a code, so the text
decides. This module does not import deltalake: the register image holds governance without it.

object_store repeats a request 10 times within 180 s by default. `retries` states a phase's budget
instead. object_store logs nothing while it waits, and `DeltaStorageHandler` of delta-rs 1.6 holds
Python's lock meanwhile when it opens or writes a file, so that no signal is handled. `briefly` is
for a process that must be stopped: it ends such a wait after some seconds, and
`credentials.with_keys` repeats the read.
"""

import re
from collections.abc import Mapping

from steps.governance.errors import (
    AccessDenied,
    GovernanceError,
    KeysRefused,
    StorageUnanswered,
    Unavailable,
)

# object_store's wording for S3's 401 and 403. A bare 403 also occurs in file names, which are
# sha256 digests.
_DENIED = re.compile(
    r"status(?: code)?: 40[13]\b|Forbidden|Access ?Denied|ExpiredToken|InvalidToken"
    "|InvalidAccessKeyId|TokenRefreshRequired|permission denied",
    re.IGNORECASE,
)
# S3's codes for keys that were withdrawn or ran out; a missing right has AccessDenied
_KEYS = re.compile(r"ExpiredToken|InvalidToken|InvalidAccessKeyId|TokenRefreshRequired")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m|↳")
# object_store's wording for 429, 5xx, lost connections and time-outs. It repeats nothing else.
_UNANSWERED = re.compile(
    r"after [1-9][0-9]* retries|HTTP error|status(?: code)?:? (?:408|429|5[0-9][0-9])\b"
)
_MOST_RETRIES = 1000  # more than fit into any budget: time decides
_BRIEF_SECONDS = 10
_LONGEST_PAUSE_SECONDS = 15  # object_store's default, between two requests


def retries(seconds: float) -> dict[str, str]:
    """Return object_store's options for a request that is repeated within so many seconds."""
    longest = min(_LONGEST_PAUSE_SECONDS, max(1, int(seconds / 60)))
    return {
        "retry_timeout": f"{int(seconds)}s",
        "max_retries": str(_MOST_RETRIES),
        "backoff_config.max_backoff": f"{longest}s",
    }


def briefly(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options with retries of a few seconds, for a read that the caller repeats."""
    return {**options, **retries(_BRIEF_SECONDS)}


def is_denied(error: Exception) -> bool:
    """Return whether the storage refused the credentials (S3's 401 and 403)."""
    return isinstance(error, PermissionError) or _DENIED.search(str(error)) is not None


def storage_error(doing: str, error: Exception) -> GovernanceError:
    """Return the error to raise instead of `error`, which ended what `doing` describes.

    The result is `KeysRefused` for keys that S3 does not know any more (`credentials.with_keys`
    replaces them once), `AccessDenied` for other refused credentials, `StorageUnanswered` if the
    storage throttled, failed or was not reached, `Unavailable` for another failure of the file
    system (`OSError`), and `GovernanceError` for a missing file and the rest.
    """
    if is_denied(error):
        denied = KeysRefused if _KEYS.search(str(error)) else AccessDenied
        return denied(
            f"the storage refused: {doing}",
            expected="credentials that Unity Catalog vended for this table",
            got=one_line(error),
            do="check the storage credential and the external location in Unity Catalog",
        )
    if _UNANSWERED.search(_plain(error)):
        return StorageUnanswered(
            f"the storage gave no answer: {doing}",
            got=one_line(error),
            do="run again when the storage answers",
        )
    passing = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
    kind = Unavailable if passing else GovernanceError
    return kind(f"the storage failed: {doing}", got=one_line(error))


def one_line(error: Exception) -> str:
    """Return at most 300 characters of an error's text.

    Delta-rs writes coloured trees over many lines.
    """
    return _plain(error)[:300] or type(error).__name__


def _plain(error: Exception) -> str:
    return " ".join(_COLOURS.sub("", str(error)).split())
