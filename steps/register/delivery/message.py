"""Parse a message of the queue. Its token, the execution's ARN and two words about it are used.

    message = parse(body)

Anybody who may write to the queue may write anything, so the rest of the body, such as `arguments`,
is not read. `sagemaker_truth` compares the message with what SageMaker lists.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from steps.governance.errors import GovernanceError, NameRefused
from steps.governance.names import execution_id

_TOKEN = re.compile(r"[A-Za-z0-9]{10}")  # SageMaker's CallbackToken
_MAX_BYTES = 256 * 1024  # SQS's own limit when this was written; a callback has some 300 bytes
_MAX_DEPTH = 32  # far more than any callback message; the JSON parser recurses


class MessageRefused(GovernanceError):
    """The message contradicts what SageMaker lists.

    It is never answered; the queue moves it to its dead-letter queue.
    """


@dataclass(frozen=True)
class Message:
    """The token, the execution's ARN, and whether the message announces a stop.

    `reconcile`: `steps.reconcile` sent it, to complete a step that may be answered already.
    Who has the token can answer the step, so it is not in `repr`.
    """

    token: str = field(repr=False)
    execution_arn: str
    stopping: bool
    reconcile: bool = False


def parse(body: str) -> Message:
    """Parse the body of one SQS message.

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
    # The key is "status" in the guide's example and "Status" in the API reference.
    return Message(
        token,
        arn,
        stopping="Stopping" in (document.get("status"), document.get("Status")),
        reconcile=document.get("reconcile") is True,
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
