"""Answers with status 200 that are not AWS's: the page of a proxy or of a login.

    s3 = checked(boto3.client("s3", …))

botocore takes every 200 to a GetObject for the object, and every 200 to a PutObject for a write
that happened. A page would then be a document that somebody altered, or a document that was never
written. S3 sends an ETag with each of these answers [S3 API reference, GetObject, HeadObject,
PutObject]; the other calls are answered in JSON or XML. Anything else raises `NotAws`, which passes
as a lost answer does: it is a `BotoCoreError`. (botocore itself takes some of S3's 200 with other
text for a 500, and repeats them.)
"""

import json
from typing import Any, TypeVar
from xml.etree import ElementTree

from botocore.exceptions import BotoCoreError

_WITH_ETAG = {"GetObject", "HeadObject", "PutObject"}
_FIRST_ERROR = 300

Client = TypeVar("Client")


class NotAws(BotoCoreError):  # type: ignore[misc]  # botocore has no types
    """A proxy or a page answered instead of AWS."""

    fmt = "the answer to {operation} is not AWS's: {reason}"


def checked(client: Client) -> Client:
    """Return the boto3 client, whose calls raise `NotAws` instead of taking such an answer."""
    client.meta.events.register("before-parse", _require_aws)  # type: ignore[attr-defined]
    return client


def _require_aws(operation_model: Any, response_dict: dict[str, Any], **_: object) -> None:
    """Require the form of an answer, before botocore reads it."""
    if response_dict["status_code"] >= _FIRST_ERROR:
        return
    if reason := _wrong(operation_model, response_dict):
        if operation_model.has_streaming_output:
            response_dict["body"].close()  # nobody will read it
        raise NotAws(operation=operation_model.name, reason=reason)


def _wrong(operation: Any, answer: dict[str, Any]) -> str | None:
    service = operation.service_model
    if service.service_name == "s3" and operation.name in _WITH_ETAG:
        return None if "ETag" in answer["headers"] else "it has no ETag"
    if operation.has_streaming_output or not answer["body"]:
        return None
    if "json" in service.resolved_protocol:
        return None if _is_object(answer["body"]) else "it is not a JSON object"
    return None if _is_xml(answer["body"]) else "it is not XML"


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def _is_xml(body: bytes) -> bool:
    try:
        return ElementTree.fromstring(body).tag.lower() != "html"  # noqa: S314 - only its root
    except ElementTree.ParseError:
        return False
