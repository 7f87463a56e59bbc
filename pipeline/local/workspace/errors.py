"""The workspace's errors, in the form that Databricks clients parse.

    WorkspaceError                     500 INTERNAL_ERROR
    ├── Unauthenticated     401 UNAUTHENTICATED             no token, unknown or expired token
    ├── PermissionDenied    403 PERMISSION_DENIED           the message names the missing privilege
    ├── NotFound            404 RESOURCE_DOES_NOT_EXIST     or the kind's, TABLE_DOES_NOT_EXIST
    ├── InvalidParameter    400 INVALID_PARAMETER_VALUE     the request itself is wrong
    ├── InvalidState        400 INVALID_STATE               the object's state does not allow it
    ├── ResourceExists      400 RESOURCE_ALREADY_EXISTS     or the kind's, TABLE_ALREADY_EXISTS
    ├── AlreadyExists       409 ALREADY_EXISTS              external metadata and lineage
    ├── Unavailable         503 TEMPORARILY_UNAVAILABLE     STS, S3 or mlflow does not answer
    └── NotServed           501 ENDPOINT_NOT_FOUND          not implemented by this stand-in

Codes other than 401, 403 and RESOURCE_ALREADY_EXISTS come from public documentation, not from a
live workspace [unverified].
"""

from __future__ import annotations

from typing import Any


class WorkspaceError(Exception):
    """A refusal with its HTTP status and Databricks error code."""

    status = 500
    code = "INTERNAL_ERROR"

    def __init__(
        self, message: str, *, code: str | None = None, details: list[dict[str, Any]] | None = None
    ):
        super().__init__(message)
        self.code = code or type(self).code
        self.details = details or []

    def body(self) -> dict[str, Any]:
        """Return the JSON that clients turn into their own exceptions."""
        answer: dict[str, Any] = {"error_code": self.code, "message": str(self)}
        return answer | ({"details": self.details} if self.details else {})


class Unauthenticated(WorkspaceError):
    """401: the token is missing, unknown or expired, or external access is off."""

    status = 401
    code = "UNAUTHENTICATED"


class PermissionDenied(WorkspaceError):
    """The caller lacks one privilege on one securable."""

    status = 403
    code = "PERMISSION_DENIED"

    @classmethod
    def missing(cls, privilege: str, kind: str, name: str) -> PermissionDenied:
        """Return Unity Catalog's message and details (source: Azure/spark-cdm-connector#149)."""
        spoken = privilege.replace("_", " ")
        metadata = {
            "principalName": "User",
            "msg": spoken,
            "resourceType": kind,
            "resourceName": name,
        }
        info = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "PERMISSION_DENIED",
            "domain": "unity-catalog.databricks.com",
            "metadata": metadata,
        }
        return cls(f"User does not have {spoken} on {kind} '{name}'.", details=[info])

    @classmethod
    def not_owner(cls, kind: str, name: str) -> PermissionDenied:
        """Return the refusal of an operation that only the owner may do."""
        return cls(f"User is not an owner of {kind} '{name}'.")


class NotFound(WorkspaceError):
    """404: the object does not exist."""

    status = 404
    code = "RESOURCE_DOES_NOT_EXIST"


class InvalidParameter(WorkspaceError):
    """400: the request itself is wrong."""

    status = 400
    code = "INVALID_PARAMETER_VALUE"


class InvalidState(WorkspaceError):
    """400: the object's state does not allow the request."""

    status = 400
    code = "INVALID_STATE"


class ResourceExists(WorkspaceError):
    """400: the name of a new Unity Catalog object is taken."""

    status = 400
    code = "RESOURCE_ALREADY_EXISTS"


class AlreadyExists(WorkspaceError):
    """409: the external metadata, the lineage edge or the file exists already."""

    status = 409
    code = "ALREADY_EXISTS"


class Unavailable(WorkspaceError):
    """503: STS, S3 or the mlflow server does not answer."""

    status = 503
    code = "TEMPORARILY_UNAVAILABLE"


class NotServed(WorkspaceError):
    """501: this stand-in does not implement the endpoint or the operation."""

    status = 501
    code = "ENDPOINT_NOT_FOUND"
