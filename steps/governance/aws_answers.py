"""Answers that are not AWS's: the page of a proxy, a gateway or a login, with any status.

    s3 = checked(boto3.client("s3", …))

botocore takes every 200 to a GetObject for the object, and every 200 to a PutObject for a write
that happened. A page would then be a document that somebody altered, or a document that was never
written. S3 sends an ETag with each of these answers [S3 API reference, GetObject, HeadObject,
PutObject]; the other calls are answered in JSON or XML.

botocore takes a page with status 404 or 403 for an error of the code `404` or `403`, which would be
"not found" and "denied". AWS gives each refusal a code: in the body, in the header
x-amzn-errortype, or, to a HEAD, in the status with a request id [S3 API reference, error
responses; Smithy's AWS JSON and REST JSON protocols]. Only these are believed.

Anything else is treated as a failing gateway: the call is repeated as often as botocore repeats a
502 with this client, then `NotAws` is raised, which passes as a lost answer does: it is a
`BotoCoreError`. (botocore itself takes some of S3's 200 with other text for a 500, and repeats
them.)
"""

import json
import random
import re
from collections.abc import Mapping
from typing import Any, TypeVar
from xml.etree import ElementTree

from botocore.exceptions import BotoCoreError

_WITH_ETAG = {"GetObject", "HeadObject", "PutObject"}
_FIRST_ERROR = 300
_TOO_MANY, _FIRST_BROKEN = 429, 500  # botocore repeats these itself, with and without a code
_BAD_GATEWAY = 502
_REASON = "NotAws"  # the key in botocore's answer
_MOST_PAUSE_SECONDS = 20.0  # as in botocore's standard mode
_CODE = re.compile(r"[A-Za-z][\w.#:/-]*")
_REQUEST_IDS = ("x-amz-request-id", "x-amzn-requestid")

Client = TypeVar("Client")


class NotAws(BotoCoreError):  # type: ignore[misc]  # botocore has no types
    """A proxy or a page answered instead of AWS."""

    fmt = "the answer to {operation} is not AWS's: {reason}"


def named_loss(error: Exception) -> str:
    """Return a lost answer's name for a reader: the class, or what a page is instead of an answer.

    Other errors of botocore may repeat an address or a request, so their texts are left out.
    """
    return str(error) if isinstance(error, NotAws) else type(error).__name__


def checked(client: Client) -> Client:
    """Return the boto3 client, whose calls raise `NotAws` instead of taking such an answer."""
    meta = client.meta  # type: ignore[attr-defined]
    most = int((meta.config.retries or {}).get("total_max_attempts", 1))

    def repeat(
        response: tuple[Any, dict[str, Any]] | None, operation: Any, attempts: int, **_: object
    ) -> float | None:
        reason = response and response[1].get(_REASON)
        if not reason:
            return None
        if attempts < most:
            return min(random.random() * 2.0 ** (attempts - 1), _MOST_PAUSE_SECONDS)  # noqa: S311
        raise NotAws(operation=operation.name, reason=reason)

    # with an id: a client that is given twice is checked once
    meta.events.register("before-parse", _mark, unique_id=f"{__name__}.mark")
    meta.events.register("needs-retry", repeat, unique_id=f"{__name__}.repeat")
    return client


def _mark(
    operation_model: Any,
    response_dict: dict[str, Any],
    customized_response_dict: dict[str, Any],
    **_: object,
) -> None:
    """Let botocore read an answer that is not AWS's as an empty 502, with the reason."""
    status = response_dict["status_code"]
    if status == _TOO_MANY or status >= _FIRST_BROKEN:
        return
    if status >= _FIRST_ERROR:
        reason = _wrong_refusal(operation_model.service_model, response_dict)
    else:
        reason = _wrong(operation_model, response_dict)
    if reason:
        if status < _FIRST_ERROR and operation_model.has_streaming_output:
            response_dict["body"].close()  # nobody will read it
        response_dict.update(status_code=_BAD_GATEWAY, body=b"")
        customized_response_dict[_REASON] = f"HTTP {status}, {reason}"


def _wrong(operation: Any, answer: Mapping[str, Any]) -> str | None:
    service = operation.service_model
    if service.service_name == "s3" and operation.name in _WITH_ETAG:
        return None if "ETag" in answer["headers"] else "it has no ETag"
    if operation.has_streaming_output or not answer["body"]:
        return None
    if "json" in service.resolved_protocol:
        return None if _object(answer["body"]) is not None else "it is not a JSON object"
    root = _xml(answer["body"])
    return None if root is not None and _name(root) != "html" else "it is not XML"


def _wrong_refusal(service: Any, answer: Mapping[str, Any]) -> str | None:
    headers, body = answer["headers"], answer["body"]
    if not body:
        known = any(name in headers for name in _REQUEST_IDS)
        return None if known else "without a request id of AWS"
    code: object = headers.get("x-amzn-errortype")
    if code is None and "json" in service.resolved_protocol:
        document = _object(body) or {}
        code = document.get("__type") or document.get("code") or document.get("Code")
    elif code is None:
        code = _code_in(_xml(body))
    known = isinstance(code, str) and _CODE.fullmatch(code) is not None
    return None if known else "a page without an error code of AWS"


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _xml(body: bytes) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(body)  # noqa: S314 - only names of elements and one code
    except ElementTree.ParseError:
        return None


def _code_in(root: ElementTree.Element | None) -> str | None:
    """Return the code of `<Error>`, or of `<ErrorResponse><Error>`."""
    if root is None or _name(root) not in ("error", "errorresponse", "response"):
        return None
    return next((each.text for each in root.iter() if _name(each) == "code"), None)


def _name(element: ElementTree.Element) -> str:
    """Return the element's name without its namespace, in lower case."""
    return element.tag.rpartition("}")[2].lower()
