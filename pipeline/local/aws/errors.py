"""Errors of our two AWS services, one class per meaning.

ServiceError              code, message and HTTP status, as botocore reads them
├── Invalid               ValidationException: the request cannot be carried out
├── NotFound              ResourceNotFound (SageMaker) or ResourceNotFoundException (EMR Serverless)
├── Conflict              ConflictException: the state of the resource does not allow it now
├── InUse                 ResourceInUse: the name is taken
├── Denied                AccessDeniedException: IAM, a trust policy or iam:PassRole refused
└── NotServed             the stand-in does not implement this
"""


class ServiceError(Exception):
    """A refusal that the client gets as code, message and HTTP status."""

    code = "InternalFailure"
    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Invalid(ServiceError):
    """The request has a value that is not valid."""

    code = "ValidationException"


class NotFound(ServiceError):
    """Nothing has that name."""

    code = "ResourceNotFound"


class ApplicationNotFound(NotFound):
    """The same for EMR Serverless, which spells the code differently."""

    code = "ResourceNotFoundException"
    status = 404


class Conflict(ServiceError):
    """The resource is in a state that does not allow this now."""

    code = "ConflictException"


class InUse(ServiceError):
    """The name belongs to something that exists."""

    code = "ResourceInUse"


class Denied(ServiceError):
    """An IAM decision, in IAM's words."""

    code = "AccessDeniedException"


class NotServed(ServiceError):
    """The embedded environment does not implement this; the message names it."""

    code = "NotImplementedException"
    status = 501

    def __init__(self, name: str) -> None:
        super().__init__(
            f"not implemented: {name} (the embedded environment does not serve it; use an "
            "AWS account)"
        )
