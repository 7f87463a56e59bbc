"""Unity Catalog's answers, turned into this package's errors: each names principal, object and missing privilege."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from databricks.sdk import errors as databricks
from databricks.sdk.errors.base import DatabricksError

from steps.governance.errors import (
    AccessDenied,
    Conflict,
    GovernanceError,
    IdentityRefused,
    NotFound,
    Unavailable,
)

# "User does not have EXTERNAL USE SCHEMA on Schema 'edgar.raw'.": wording seen in public issues; the hosted service's
# may differ [unverified], and then the message carries its text as it is.
_MISSING = re.compile(r"does not have (?P<privilege>[A-Z][A-Z_ ]+?) on (?P<kind>\w[\w ]*?) '(?P<name>[^']+)'")


@contextmanager
def translated(principal: str, doing: str) -> Iterator[None]:
    """Run one call to the workspace; its refusals come out as ours.

    Args:
        principal: the application id that calls.
        doing: what the call does, with the object's name: "read table edgar.raw.filings".
    """
    try:
        yield
    except databricks.PermissionDenied as error:
        raise _denied(principal, doing, _said(error)) from error
    except databricks.Unauthenticated as error:
        raise IdentityRefused(
            f"{principal} is no longer accepted by the workspace while it tried to {doing}"
        ) from error
    except databricks.NotFound as error:
        raise NotFound(f"{principal} tried to {doing}", got=_said(error)) from error
    except databricks.ResourceConflict as error:
        raise Conflict(f"{principal} tried to {doing}", got=_said(error)) from error
    except DatabricksError as error:
        raise GovernanceError(f"{principal} tried to {doing}", got=_said(error)) from error
    except OSError as error:  # requests' and socket errors, and the SDK's TimeoutError after its retries
        raise Unavailable(
            f"the workspace gave no answer while {principal} tried to {doing}",
            got=type(error).__name__,
            do="run again when the workspace answers",
        ) from error


def _said(error: DatabricksError) -> str:
    """The workspace's own words, without the configuration that the SDK appends to a refusal."""
    return str(error).partition(" Config: ")[0][:300]


def _denied(principal: str, doing: str, text: str) -> AccessDenied:
    missing = _MISSING.search(text)
    if missing is None:
        return AccessDenied(f"{principal} was refused: {doing}", got=text)
    privilege, kind, name = missing["privilege"], missing["kind"], missing["name"]
    return AccessDenied(
        f"{principal} was refused: {doing}",
        expected=f"{privilege} on {kind.lower()} {name}",
        got="no such privilege",
        do=f"GRANT {privilege} ON {kind.upper()} {name} TO `{principal}`",
    )
