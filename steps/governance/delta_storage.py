"""Errors of the object store below a Delta table, as this project's errors.

    except (OSError, DeltaError) as error:
        raise storage_error("read table edgar.raw.filings", error) from error

delta-rs and its object_store report most failures of S3 as text, without a code, so the text
decides. This module does not import deltalake: the register image holds governance without it.
"""

import re

from steps.governance.errors import AccessDenied, GovernanceError, KeysRefused, Unavailable

# object_store's wording for S3's 401 and 403. A bare 403 also occurs in file names, which are
# sha256 digests.
_DENIED = re.compile(
    r"status(?: code)?: 40[13]\b|Forbidden|Access ?Denied|ExpiredToken|InvalidToken"
    "|InvalidAccessKeyId|TokenRefreshRequired|permission denied",
    re.IGNORECASE,
)
# S3's codes for keys that were withdrawn or ran out; a missing right has AccessDenied
_KEYS = re.compile(r"ExpiredToken|InvalidToken|InvalidAccessKeyId|TokenRefreshRequired")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def is_denied(error: Exception) -> bool:
    """Return whether the storage refused the credentials (S3's 401 and 403)."""
    return isinstance(error, PermissionError) or _DENIED.search(str(error)) is not None


def storage_error(doing: str, error: Exception) -> GovernanceError:
    """Return the error to raise instead of `error`, which ended what `doing` describes.

    The result is `KeysRefused` for keys that S3 does not know any more (`credentials.with_keys`
    replaces them once), `AccessDenied` for other refused credentials, `Unavailable` for another
    failure of the connection or the file system (`OSError`), and `GovernanceError` for a missing
    file and the rest.
    """
    if is_denied(error):
        denied = KeysRefused if _KEYS.search(str(error)) else AccessDenied
        return denied(
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
