"""Unity Catalog's errors as this package's: each names principal, object and missing privilege.

    with translated(principal, "read table edgar.raw.filings"):
        client.tables.get("edgar.raw.filings")

401                                       IdentityRefused
403                                       AccessDenied
404                                       NotFound
404, code names a schema or a catalog     ContainerNotFound
409                                       Conflict
another 4xx                               InvalidRequest
no answer                                 Unavailable
another response than the call returns    MalformedAnswer
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import requests
from databricks.sdk import errors as databricks
from databricks.sdk.errors.base import DatabricksError

from steps.governance.errors import (
    AccessDenied,
    Conflict,
    ContainerNotFound,
    GovernanceError,
    IdentityRefused,
    InvalidRequest,
    MalformedAnswer,
    NotFound,
    Unavailable,
)
from steps.governance.unity_catalog.retrying import Unanswered
from steps.governance.unity_catalog.transport import Malformed

# "User does not have EXTERNAL USE SCHEMA on Schema 'edgar.raw'.": wording of public issues. The
# hosted service's may differ [unverified]; the message then quotes its text.
_MISSING = re.compile(
    r"does not have (?P<privilege>[A-Z][A-Z_ ]+?) on (?P<kind>\w[\w ]*?) '(?P<name>[^']+)'"
)

# Codes of Unity Catalog's public documentation, and the text of a general code [unverified].
_CONTAINER = re.compile(
    r"\b(?:SCHEMA|CATALOG)_DOES_NOT_EXIST\b"
    r"|\b(?:Schema|Catalog) '[^']*' (?:does not exist|not found)"
)
_PARSERS = ("databricks.sdk.",)
# databricks-sdk's text for an error answer that is not the workspace's JSON. It calls that a bug of
# itself, and the status is only in the log of the request that it appends.
_NO_JSON = "unable to parse response. "
_LOGGED_STATUS = re.compile(r"^< (?P<status>[0-9]{3})\b", re.MULTILINE)


@contextmanager
def translated(principal: str, doing: str) -> Iterator[None]:
    """Run one call to the workspace, and raise its errors as ours.

    Args:
        principal: the application id that calls.
        doing: what the call does, with the object's name: "read table edgar.raw.filings".
    """
    try:
        yield
    except DatabricksError as error:
        raise _refused(error, principal, doing) from error
    except Malformed as error:
        raise malformed(principal, doing, str(error)) from error
    except Unanswered as error:
        raise no_answer("the workspace", principal, doing, error) from error
    except requests.JSONDecodeError as error:  # it is an OSError too
        raise malformed(principal, doing, "text that is not JSON") from error
    except OSError as error:  # a socket's, below the transport
        raise Unavailable(
            f"the workspace gave no answer while {principal} tried to {doing}",
            got=type(error).__name__,
            do="run again when the workspace answers",
        ) from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        if not raised_in(error.__traceback__, _PARSERS):
            raise
        raise malformed(
            principal, doing, f"an answer whose fields have other types ({type(error).__name__})"
        ) from error


def _refused(error: DatabricksError, principal: str, doing: str) -> GovernanceError:
    """Return the error for a refusal, which is final: retryable ones became `Unanswered` before."""
    text = _message(error)
    if isinstance(error, databricks.PermissionDenied):
        return _denied(principal, doing, text)
    if isinstance(error, databricks.Unauthenticated):
        return IdentityRefused(
            f"{principal} was rejected by the workspace while it tried to {doing}",
            expected="that the workspace accepts a token which it has just given to this principal",
            got=f"HTTP 401 {text}"[:200],
            do="check that the principal still exists in the workspace and that its OAuth secret "
            "is the one in Secrets Manager",
        )
    if isinstance(error, databricks.NotFound) or str(error.error_code).endswith("DOES_NOT_EXIST"):
        return not_found(principal, doing, code=str(error.error_code), text=text)
    if isinstance(error, databricks.ResourceConflict) or "ALREADY_EXISTS" in str(error.error_code):
        return Conflict(_refusal_of(principal, doing), got=text)
    if isinstance(error, databricks.InvalidState):  # the same request may succeed later
        return GovernanceError(_refusal_of(principal, doing), got=text)
    return InvalidRequest(_refusal_of(principal, doing), got=f"{error.error_code}: {text}")


def no_answer(who: str, principal: str, doing: str, error: Unanswered) -> Unavailable:
    """Return the error for a call without a usable answer."""
    return Unavailable(
        f"{who} gave no answer while {principal} tried to {doing}",
        got=str(error),
        do="run again when the workspace answers",
    ).asking(error.retry_after_seconds)


def malformed(principal: str, doing: str, got: str) -> MalformedAnswer:
    """Return the error for a response that is not what the call returns."""
    return MalformedAnswer(
        f"the workspace's answer could not be read while {principal} tried to {doing}",
        expected="the JSON object that this call returns",
        got=got,
        do="check that the host is the workspace itself, not a proxy or a login page",
    )


def not_found(principal: str, doing: str, *, code: str, text: str) -> NotFound:
    """Return the error for a missing object, or for its missing schema or catalog."""
    kind = ContainerNotFound if _CONTAINER.search(f"{code}: {text}") else NotFound
    return kind(f"the workspace found nothing while {principal} tried to {doing}", got=text)


def _refusal_of(principal: str, doing: str) -> str:
    return f"the workspace refused {principal}, who tried to {doing}"


def raised_in(trace: TracebackType | None, packages: tuple[str, ...]) -> bool:
    """Return whether the error was raised in one of these packages, that is by its parser."""
    name = ""
    while trace is not None:
        name, trace = str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_next
    return name.startswith(packages)


def _message(error: DatabricksError) -> str:
    """Return the workspace's text without the configuration that the SDK appends.

    A proxy's page is not quoted: only its status is.
    """
    if str(error).startswith(_NO_JSON):
        logged = _LOGGED_STATUS.search(str(error))
        status = f"HTTP {logged['status']}" if logged else "an error"
        return f"{status} without the JSON of a workspace; a proxy or a page may have answered"
    return str(error).partition(" Config: ")[0][:300]


def _denied(principal: str, doing: str, text: str) -> AccessDenied:
    missing = _MISSING.search(text)
    if missing is None:
        return AccessDenied(f"the workspace refused {principal}: {doing}", got=text)
    privilege, kind, name = missing["privilege"], missing["kind"], missing["name"]
    return AccessDenied(
        f"the workspace refused {principal}: {doing}",
        expected=f"{privilege} on {kind.lower()} {name}",
        got="no such privilege",
        do=f"GRANT {privilege} ON {kind.upper()} {name} TO `{principal}`",
    )
