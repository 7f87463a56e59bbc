"""boto3 clients of a process, one per service, and AWS errors as governance errors.

A throttled call or a 5xx does not mean a refusal (`is_passing`): it may succeed later.

botocore repeats throttled calls, 5xx answers and lost connections (standard mode, 4 attempts).
Every call that uses them is a read, a conditional write, or carries a request token, so a repeated
call has one effect.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from steps.governance.aws_answers import checked, named_loss
from steps.governance.errors import AccessDenied, GovernanceError, NotFound, Unavailable

_ATTEMPTS = 4  # of one call, the first included
_CONNECT_SECONDS = 5
_READ_SECONDS = 30  # a long poll of 20 s has to fit
_DENIED = {"AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"}
# Codes with a status below 500 that still pass [AWS's API references, common errors and S3]
_PASSING = {
    *("RequestTimeout", "RequestTimeoutException", "SlowDown", "Throttling", "ThrottledException"),
    *("ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"),
}
_TOO_MANY = 429
_ABSENT = {
    "ResourceNotFound",
    "ResourceNotFoundException",
    "NoSuchKey",
    "NoSuchVersion",
    "NoSuchBucket",
    "404",
}


@functools.cache
def client(service: str, region: str, *, attempts: int = _ATTEMPTS) -> Any:
    """Return the boto3 client of a service, with the process's own role.

    It is cached, since making one takes up to 0.3 s. Endpoints come from the environment
    (`AWS_ENDPOINT_URL`). `attempts`: 1 if the caller repeats its calls itself.
    """
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
    )
    return checked(boto3.client(service, region_name=region, config=config))


def delete_message(sqs: Any, url: str, receipt: str) -> None:
    """Delete a message. One that is gone already counts as deleted.

    botocore repeats the call after a lost answer, and a queue may then refuse the receipt of a
    message that it does not have any more. A receipt that is out of date leaves the message to its
    next receive.

    Raises:
        GovernanceError: the queue refused it for another reason, or gave no answer.
    """
    with translated(f"delete a message of {url}"):
        try:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)
        except ClientError as error:
            if error_code(error) != "ReceiptHandleIsInvalid":
                raise


def error_code(error: ClientError) -> str:
    """Return the service's error code: `AccessDenied`, `ConflictException`, …"""
    return str(error.response.get("Error", {}).get("Code", ""))


def shown(error: ClientError) -> str:
    """Return the error code for a reader, or the HTTP status of a proxy's page without one."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "error")
    return error_code(error) or f"HTTP {status}, a page that is not AWS's"


def is_passing(error: ClientError) -> bool:
    """Return whether the service did not decide: throttled, overloaded or broken."""
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return status >= 500 or status == _TOO_MANY or error_code(error) in _PASSING


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Run one call to AWS and raise its errors as ours.

    `doing` describes the call in a message, such as "this role was refused: read s3://…".

    Raises:
        AccessDenied: the role lacks a permission.
        NotFound: the object does not exist.
        GovernanceError: another refusal.
        Unavailable: no answer came.
    """
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if is_passing(error):
            raise Unavailable(f"AWS gave no answer: {doing}", got=shown(error)) from error
        if code in _DENIED:
            raise AccessDenied(
                f"this role was refused: {doing}", got=code, do="allow it in the role's policy"
            ) from error
        if code in _ABSENT:
            raise NotFound(f"nothing there: {doing}", got=code) from error
        raise GovernanceError(f"AWS refused: {doing}", got=shown(error)) from error
    except BotoCoreError as error:
        raise Unavailable(
            f"AWS gave no answer: {doing}", got=named_loss(error), do="run again when it answers"
        ) from error
