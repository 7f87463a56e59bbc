"""A message from the queue, of which only the token and the execution's ARN are used.

    message = parse(body)

Whoever may write to the queue may write anything, so the rest (`arguments` above all) is not even read. What the
message claims is checked against SageMaker by `truth`.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from steps.governance.errors import GovernanceError, NameRefused
from steps.governance.names import execution_id

_TOKEN = re.compile(r"[A-Za-z0-9]{10}")  # SageMaker's CallbackToken
_MAX_BYTES = (
    256 * 1024
)  # SQS's own limit at the time of writing was 256 KiB; a callback message has some 300 bytes
_MAX_DEPTH = 32  # far more than any callback message; the JSON parser recurses


class MessageRefused(GovernanceError):
    """This message does not say what SageMaker says. It is never answered: the queue hands it to its dead-letter
    queue."""


@dataclass(frozen=True)
class Message:
    """The two facts a message may bring, and whether it announces a stop. The token is a capability: not in `repr`."""

    token: str = field(repr=False)
    execution_arn: str
    stopping: bool


def parse(body: str) -> Message:
    """Read one SQS body.

    Raises:
        MessageRefused: not the JSON that SageMaker sends for a callback step.
    """
    document = _document(body)
    token, arn = document.get("token"), document.get("pipelineExecutionArn")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise _refused("no callback token", "token: 10 letters and digits", type(token).__name__)
    if not isinstance(arn, str):
        raise _refused("no execution", "pipelineExecutionArn: a string", type(arn).__name__)
    try:
        execution_id(arn)
    except NameRefused as error:
        raise _refused(
            "no execution", "pipelineExecutionArn of a pipeline execution", repr(arn)[:120]
        ) from error
    # The guide's example says "status", the API reference says "Status".
    return Message(
        token, arn, stopping="Stopping" in (document.get("status"), document.get("Status"))
    )


def _document(body: str) -> dict[str, Any]:
    size = len(body.encode("utf-8", "replace"))
    if size > _MAX_BYTES:
        raise _refused("too large", f"at most {_MAX_BYTES} bytes", f"{size} bytes")
    if body.count("{") + body.count("[") > _MAX_DEPTH:
        raise _refused("too deeply nested", f"at most {_MAX_DEPTH} objects and lists", "more")
    try:
        document = json.loads(body, object_pairs_hook=_unique)
    except ValueError:
        raise _refused(
            "not readable", "a JSON object without repeated keys", "other text (not shown)"
        ) from None
    if not isinstance(document, dict):
        raise _refused("not readable", "a JSON object", type(document).__name__)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("repeated key")
    return dict(pairs)


def _refused(what: str, expected: str, got: str) -> MessageRefused:
    return MessageRefused(f"a message was refused: {what}", expected=expected, got=got)
