"""What an error of an attempt means for its message.

impossible(error)       # no later attempt can succeed: the pipeline gets the failure now
reason(error)           # the sentence for the pipeline, the log and the description
"""

from botocore.exceptions import ClientError

from steps.governance.errors import (
    AccessDenied,
    Conflict,
    GovernanceError,
    IntegrityError,
    InvalidRequest,
    NotFound,
    UsageError,
)

FINAL = (IntegrityError, AccessDenied, Conflict, InvalidRequest, NotFound, UsageError)


def impossible(error: Exception) -> bool:
    """Whether no later attempt can succeed.

    An object that AWS does not find was named by the execution itself, and will not appear later.
    An object that the workspace does not find may be created meanwhile, so that error is not final.
    """
    from_the_workspace = not isinstance(error.__cause__, ClientError | None)
    return isinstance(error, FINAL) and not (isinstance(error, NotFound) and from_the_workspace)


def unforeseen(error: Exception) -> bool:
    """Whether the error is a defect of this program, which needs its traceback."""
    return not isinstance(error, GovernanceError)


def reason(error: Exception) -> str:
    """Return our own error's message, which holds no secret. Of any other error only the class."""
    if isinstance(error, GovernanceError):
        return str(error)
    return f"an unforeseen {type(error).__name__}; see the worker's log"
