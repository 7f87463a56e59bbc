"""Every way governed work can be refused, one class per meaning.

    GovernanceError            exit 1   something was refused or failed
    ├── UsageError             exit 2   what the caller gave cannot be used
    │   └── NameRefused        exit 2   a name that is not a plain Unity Catalog name
    ├── IdentityRefused        exit 1   no identity: secret missing, wrong client secret, host not allowed
    ├── AccessDenied           exit 1   Unity Catalog or AWS said no: principal, securable, privilege
    ├── NotFound               exit 1   the catalog or store has no such object
    │   └── ContainerNotFound  exit 1   the schema or catalog that should hold the object is not there
    ├── InvalidRequest         exit 1   the service refused the request itself; the same request never succeeds
    ├── CredentialsExpired     exit 1   a credential ran out and could not be renewed
    ├── IntegrityError         exit 1   bytes or versions differ from what was recorded
    ├── Conflict               exit 1   something else stands where this would be written
    └── Unavailable            exit 1   no answer within the retry budget; the same call may succeed later
        └── MalformedAnswer    exit 1   an answer came that is not what this call returns

A message says what happened, what was expected, what was got and what to do. It never holds a secret.
"""

from typing import Self


class GovernanceError(Exception):
    """Governed work was refused or failed.

    Args:
        what: one sentence: what happened, to which object, for which principal.
        expected: what would have been right.
        got: what was there instead.
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
    """What the caller gave cannot be used: an argument, a file, a setting."""

    exit_code = 2


class NameRefused(UsageError):
    """A name that is not a plain Unity Catalog name; it was not sent anywhere."""


class IdentityRefused(GovernanceError):
    """The process could not prove who it is."""


class AccessDenied(GovernanceError):
    """The principal lacks a privilege; the message names principal, securable and privilege."""


class NotFound(GovernanceError):
    """The catalog or the store has no such object."""


class ContainerNotFound(NotFound):
    """The schema or the catalog that should hold the object is not there."""


class InvalidRequest(GovernanceError):
    """The service refused the request itself (4xx); the same request never succeeds."""


class CredentialsExpired(GovernanceError):
    """A credential ran out and could not be renewed."""


class IntegrityError(GovernanceError):
    """What was read differs from what was recorded; nothing was done with it."""


class Conflict(GovernanceError):
    """Something else already stands where this would be written."""


class Unavailable(GovernanceError):
    """No usable answer within the retry budget; trying again later may succeed.

    `retry_after_seconds` is the pause that the service asked for, None where it named none.
    """

    retry_after_seconds: float | None = None

    def asking(self, seconds: float | None) -> Self:
        """The same error with the pause that the service asked for."""
        self.retry_after_seconds = seconds
        return self


class MalformedAnswer(Unavailable):
    """An answer came that is not what this call returns: a proxy's page, another type of JSON, an empty body."""
