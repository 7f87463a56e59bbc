"""How each service itself refuses a call: "denied" (403) and "absent" (404).

    answer = refusal("denied", "GET /bucket/key")     # status, headers, body, or None

The page of a proxy with these statuses is another fault: clients distinguish them by the service's
code (`governance.aws_answers`, `unity_catalog.own_refusals`).
"""

import json
import re

DENIED, ABSENT = "denied", "absent"
_JSON_SERVICES = {  # target of the call, and the code of a missing object
    "POST SageMaker": "ResourceNotFound",
    "POST AmazonSQS": "com.amazonaws.sqs#QueueDoesNotExist",
    "POST TrentService": "NotFoundException",
    "POST secretsmanager": "ResourceNotFoundException",
}
_REQUEST_ID = {"x-amz-request-id": "0123456789ABCDEF"}
_XML = "<?xml version='1.0'?><{0}><Code>{1}</Code><Message>no</Message></{2}>"
_MESSAGES = {DENIED: "not allowed", ABSENT: "it does not exist"}

Refusal = tuple[int, dict[str, str], bytes]


def refusal(kind: str, call: str) -> Refusal | None:
    """Return the refusal of the service that this call ("METHOD /path") is sent to."""
    for target, absent in _JSON_SERVICES.items():
        if call.startswith(target):
            code = "AccessDeniedException" if kind == DENIED else absent
            return 400, {}, json.dumps({"__type": code, "message": "no"}).encode()
    method, _, path = call.partition(" ")
    if path.startswith("/applications/"):
        code = "AccessDeniedException" if kind == DENIED else "ResourceNotFoundException"
        return _status(kind), {"x-amzn-ErrorType": code}, b'{"message": "no"}'
    if re.match(r"/(?:api|oidc)/", path):
        return _of_the_workspace(kind, path)
    if call == "POST /":  # STS, which finds or misses nothing
        body = _XML.format("ErrorResponse><Error", "AccessDenied", "Error></ErrorResponse")
        return (403, _REQUEST_ID, body.encode()) if kind == DENIED else None
    if method == "HEAD":
        return _status(kind), _REQUEST_ID, b""
    code = "AccessDenied" if kind == DENIED else "NoSuchKey" if method == "GET" else "NoSuchBucket"
    return _status(kind), _REQUEST_ID, _XML.format("Error", code, "Error").encode()


def _status(kind: str) -> int:
    return 403 if kind == DENIED else 404


def _of_the_workspace(kind: str, path: str) -> Refusal | None:
    if path.startswith("/oidc/"):
        document = {"error": "access_denied"}
        return (403, {}, json.dumps(document).encode()) if kind == DENIED else None
    code = "PERMISSION_DENIED" if kind == DENIED else "RESOURCE_DOES_NOT_EXIST"
    body = json.dumps({"error_code": code, "message": _MESSAGES[kind]}).encode()
    return _status(kind), {"Content-Type": "application/json"}, body
