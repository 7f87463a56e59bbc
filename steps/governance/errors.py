"""The errors of governed work, one class per meaning.

    GovernanceError            exit 1   something was refused or failed
    ├── UsageError             exit 2   an argument, file or setting cannot be used
    │   └── NameRefused        exit 2   a name that is not a plain Unity Catalog name
    ├── IdentityRefused        exit 1   the process could not authenticate
    ├── AccessDenied           exit 1   Unity Catalog or AWS refused a privilege
    │   └── KeysRefused        exit 1   the storage does not accept vended keys any more
    ├── NotFound               exit 1   the catalog or store has no such object
    │   └── ContainerNotFound  exit 1   the object's schema or catalog does not exist
    ├── InvalidRequest         exit 1   the service rejects this request every time
    ├── CredentialsExpired     exit 1   a credential expired and could not be renewed
    ├── IntegrityError         exit 1   bytes or versions differ from what was recorded
    ├── Conflict               exit 1   another object exists where this would be written
    └── Unavailable            exit 1   no answer within the retry budget; may succeed later
        ├── MalformedAnswer    exit 1   the response is not what this call returns
        └── StorageUnanswered  exit 1   the object store below a table did not answer

A message states what happened, what was expected, what was got and what to do. It never contains a
secret.
"""

from typing import Self


class GovernanceError(Exception):
    """Governed work was refused or failed.

    Args:
        what: one sentence: what happened, to which object, for which principal.
        expected: the value or state that was required.
        got: the value or state that was found.
        do: what the reader can do about it.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        do: str | None = None,
    ) -> None:
        self.what = what
        lines = [f"  {label:<9} {text}" for label, text in _labelled(expected, got, do) if text]
        super().__init__("\n".join([what, *lines]))

    def __str__(self) -> str:
        return str(self.args[0])


def _labelled(
    expected: str | None, got: str | None, do: str | None
) -> list[tuple[str, str | None]]:
    return [("expected", expected), ("got", got), ("do", do)]


class UsageError(GovernanceError):
    """An argument, a file or a setting from the caller cannot be used."""

    exit_code = 2


class NameRefused(UsageError):
    """A name that is not a plain Unity Catalog name; it was not sent to any service."""


class IdentityRefused(GovernanceError):
    """The process could not authenticate: secret missing or wrong, or host not allowed."""


class AccessDenied(GovernanceError):
    """A principal lacks a privilege; the message names principal, securable and privilege."""


class KeysRefused(AccessDenied):
    """The storage does not accept the vended keys, although they have not expired."""


class NotFound(GovernanceError):
    """The catalog or the store has no such object."""


class ContainerNotFound(NotFound):
    """The schema or the catalog of the object does not exist."""


class InvalidRequest(GovernanceError):
    """The service refused the request itself (4xx); the same request never succeeds."""


class CredentialsExpired(GovernanceError):
    """A credential expired and could not be renewed."""


class IntegrityError(GovernanceError):
    """Data differs from its record; the data was not used."""


class Conflict(GovernanceError):
    """Another object already exists where this would be written."""


class Unavailable(GovernanceError):
    """No usable answer within the retry budget; the same call may succeed later.

    `retry_after_seconds` is the pause that the service asked for, or None.
    """

    retry_after_seconds: float | None = None

    def asking(self, seconds: float | None) -> Self:
        """Return this error with the pause that the service asked for."""
        self.retry_after_seconds = seconds
        return self


class StorageUnanswered(Unavailable):
    """The object store throttles, fails or cannot be reached; the same read may succeed later."""


class MalformedAnswer(Unavailable):
    """The response is not what this call returns: a proxy's page, other JSON, an empty body."""
