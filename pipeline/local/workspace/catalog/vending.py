"""Credential vending: short-lived AWS keys for one table, path or model version, and for nothing
else.

The keys come from STS: the storage credential's role, narrowed by a session policy to the object's
prefix, and to reading for a READ operation. STS sessions last at least 15 minutes; for a shorter
`--vended-ttl-seconds` the policy denies everything after that time. Clients then get AccessDenied,
whereas a session that ends by itself gives ExpiredToken.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.local.workspace.api import Call, Json, Routes
from pipeline.local.workspace.catalog.locations import (
    bucket_and_prefix,
    contains,
    normalize,
    overlaps,
)
from pipeline.local.workspace.catalog.storage import credential_of, location_of
from pipeline.local.workspace.catalog.tables import refuse_overlap
from pipeline.local.workspace.control_plane import MINIMUM_SESSION_SECONDS
from pipeline.local.workspace.errors import (
    InvalidParameter,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from pipeline.local.workspace.rights.securables import Kind, Securable
from pipeline.local.workspace.store import Document

_READ = ["s3:GetObject", "s3:GetObjectVersion"]
_WRITE = [
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
]
_LIST = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]

_VENDED_TYPES = ("EXTERNAL", "MANAGED", "EXTERNAL_SHALLOW_CLONE", "MANAGED_SHALLOW_CLONE")
_TABLE_PRIVILEGES = {"READ": ("SELECT",), "READ_WRITE": ("SELECT", "MODIFY")}
_PATH_PRIVILEGE = {
    "PATH_READ": "READ_FILES",
    "PATH_READ_WRITE": "WRITE_FILES",
    "PATH_CREATE_TABLE": "CREATE_EXTERNAL_TABLE",
}

routes = Routes()


@routes.post(
    "/api/2.0/unity-catalog/temporary-table-credentials",
    "generateTemporaryTableCredential",
    atomic=False,
)
@routes.post(
    "/api/2.1/unity-catalog/temporary-table-credentials",
    "generateTemporaryTableCredential",
    atomic=False,
)
def table_credentials(call: Call) -> Json:
    """Needs EXTERNAL USE SCHEMA, and SELECT (for READ_WRITE also MODIFY) on the table."""
    table_id, operation = call.text("table_id"), call.body.get("operation") or "READ"
    if operation not in _TABLE_PRIVILEGES:
        raise InvalidParameter(f"operation: expected READ or READ_WRITE, got {operation}.")
    name, document = _table_by_id(call, table_id)
    table = call.target(Kind.TABLE, name)
    call.access.reach(table)
    _require_external_access(call, "TABLE")
    _require_table_rights(call, table, operation)
    _refuse_fine_grained(table, document)
    _refuse_without_files(table, document)
    return vend(call, document["storage_location"], write=operation == "READ_WRITE")


@routes.post(
    "/api/2.0/unity-catalog/temporary-path-credentials",
    "generateTemporaryPathCredential",
    atomic=False,
)
@routes.post(
    "/api/2.1/unity-catalog/temporary-path-credentials",
    "generateTemporaryPathCredential",
    atomic=False,
)
def path_credentials(call: Call) -> Json:
    """Needs EXTERNAL USE LOCATION and the operation's own right; for a table's files the table's
    rights instead.
    """
    url, operation = normalize(call.text("url")), call.text("operation")
    call.about = f"path '{url}'"
    if operation not in _PATH_PRIVILEGE:
        raise InvalidParameter(
            f"operation: expected one of {', '.join(_PATH_PRIVILEGE)}, got {operation}."
        )
    _require_external_access(call, "PATH")
    _refuse_managed(call, url)
    location = location_of(call, url)
    call.access.require("EXTERNAL_USE_LOCATION", location)
    _require_path_rights(call, url, operation, location)
    return {} if call.body.get("dry_run") else vend(call, url, write=operation != "PATH_READ")


def vend(call: Call, url: str, *, write: bool) -> Json:
    """Return keys for a URL and everything below it, in the answer's form (`expiration_time` is
    epoch milliseconds).
    """
    role = credential_of(call, url)["aws_iam_role"]
    lifetime = call.workspace.settings.vended_ttl_seconds
    ends = (datetime.now(UTC) + timedelta(seconds=lifetime)).replace(microsecond=0)  # as a policy's
    policy = session_policy(
        url, write=write, ends=ends if lifetime < MINIMUM_SESSION_SECONDS else None
    )
    keys = call.workspace.aws.assume(
        role["role_arn"], role["external_id"], seconds=lifetime, policy=policy
    )
    return {
        "aws_temp_credentials": {
            "access_key_id": keys["AccessKeyId"],
            "secret_access_key": keys["SecretAccessKey"],
            "session_token": keys["SessionToken"],
        },
        "expiration_time": int(min(keys["Expiration"], ends).timestamp() * 1000),
        "url": url,
    }


def session_policy(url: str, *, write: bool, ends: datetime | None = None) -> Json:
    """Return the IAM policy that narrows a session to one prefix, and to a time if it is shorter
    than the minimum of STS.
    """
    bucket, prefix = bucket_and_prefix(url)
    objects = (
        [f"arn:aws:s3:::{bucket}/{prefix}", f"arn:aws:s3:::{bucket}/{prefix}/*"]
        if prefix
        else [f"arn:aws:s3:::{bucket}/*"]
    )
    below = [prefix, f"{prefix}/*"] if prefix else ["*"]
    statements: list[Json] = [
        {"Effect": "Allow", "Action": _READ + (_WRITE if write else []), "Resource": objects},
        {
            "Effect": "Allow",
            "Action": _LIST if write else _LIST[:1],
            "Resource": f"arn:aws:s3:::{bucket}",
            "Condition": {"StringLike": {"s3:prefix": below}},
        },
    ]
    if ends is not None:
        moment = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        after = {"DateGreaterThanEquals": {"aws:CurrentTime": moment}}
        statements.append({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": after})
    return {"Version": "2012-10-17", "Statement": statements}


def _require_table_rights(call: Call, table: Securable, operation: str) -> None:
    """Require the rights to read or write a table's files, for keys by table and by path."""
    assert table.parent is not None  # noqa: S101 - every table is in a schema
    call.access.require("EXTERNAL_USE_SCHEMA", table.parent)
    for privilege in _TABLE_PRIVILEGES[operation]:
        call.access.require(privilege, table)


def _require_path_rights(call: Call, url: str, operation: str, location: Securable) -> None:
    if operation == "PATH_CREATE_TABLE":
        refuse_overlap(call, url)
    for document in call.store.all(Kind.TABLE.name):
        if contains(document["storage_location"], url):
            table = Securable(Kind.TABLE, document["full_name"])
            _refuse_fine_grained(table, document)
            return _require_table_rights(call, table, operation.removeprefix("PATH_"))
    refuse_overlap(call, url)  # a path that contains tables would give access without their rights
    call.access.require(_PATH_PRIVILEGE[operation], location)
    return None


def _require_external_access(call: Call, kind: str) -> None:
    """Source of status and code: unitycatalog/unitycatalog#2 and #560."""
    if not call.workspace.settings.external_access:
        code = f"UNITY_CATALOG_EXTERNAL_GENERATE_{kind}_CREDENTIALS_DENIED"
        message = (
            "Generating temporary credentials is denied: the metastore's external_access_enabled "
            "is false."
        )
        raise Unauthenticated(f"[{code}] {message}", code=code)


def _refuse_managed(call: Call, url: str) -> None:
    settings = call.workspace.settings
    for folder in ("models", "workspace"):
        if overlaps(url, f"s3://{settings.storage_bucket}/{folder}"):
            raise InvalidParameter(
                f"Path '{url}' overlaps with managed storage; path credentials do not serve it."
            )


def _refuse_fine_grained(table: Securable, document: Document) -> None:
    if document.get("row_filter"):
        raise PermissionDenied(
            f"{table} has a row filter: its files would show every row, so they are not vended."
        )


def _refuse_without_files(table: Securable, document: Document) -> None:
    """Refuse objects without files of their own, such as views [unverified: the hosted service's
    wording].
    """
    kind, form = document["table_type"], document["data_source_format"]
    if kind not in _VENDED_TYPES or form != "DELTA":
        raise InvalidParameter(
            f"{table} is {kind} of format {form}: credentials are vended for Delta tables only."
        )


def _table_by_id(call: Call, table_id: str) -> tuple[str, dict[str, Any]]:
    for name, document in call.store.items(Kind.TABLE.name):
        if document["table_id"] == table_id:
            return name, document
    raise NotFound(f"Table with id '{table_id}' does not exist.", code="TABLE_DOES_NOT_EXIST")
