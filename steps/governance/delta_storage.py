"""Errors of the object store below a Delta table, as this project's errors.

    except (OSError, DeltaError) as error:
        raise storage_error("read table edgar.raw.filings", error) from error

delta-rs and its object_store report most failures of S3 as text, without a code, so the text
decides. This module does not import deltalake: the register image holds governance without it.
"""

import re

from steps.governance.errors import AccessDenied, GovernanceError, Unavailable

# object_store's wording for S3's 401 and 403. A bare 403 also occurs in file names, which are
# sha256 digests.
_DENIED = re.compile(
    r"status(?: code)?: 40[13]\b|Forbidden|Access ?Denied|ExpiredToken|InvalidToken"
    "|permission denied",
    re.IGNORECASE,
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def is_denied(error: Exception) -> bool:
    """Return whether the storage refused the credentials (S3's 401 and 403)."""
    return isinstance(error, PermissionError) or _DENIED.search(str(error)) is not None


def storage_error(doing: str, error: Exception) -> GovernanceError:
    """Return the error to raise instead of `error`, which ended what `doing` describes.

    The result is `AccessDenied` for refused credentials, `Unavailable` for another failure of the
    connection or the file system (`OSError`), and `GovernanceError` for a missing file and the
    rest.
    """
    if is_denied(error):
        return AccessDenied(
            f"the storage refused: {doing}",
            expected="credentials that Unity Catalog vended for this table",
            got=one_line(error),
            do="check the storage credential and the external location in Unity Catalog",
        )
    passing = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
    kind = Unavailable if passing else GovernanceError
    return kind(f"the storage failed: {doing}", got=one_line(error))


def one_line(error: Exception) -> str:
    """Return at most 300 characters of an error's text.

    Delta-rs writes coloured trees over many lines.
    """
    return " ".join(_COLOURS.sub("", str(error)).split())[:300] or type(error).__name__
