"""The register queue and its dead-letter queue.

    queues = Queues(queue_url, region)
    letters = queues.dead_letters()       # received, and hidden for a while from others
    queues.redrive(letter, execution)     # sent to the register queue, then deleted
    queues.release(letters)

The register queue cannot be looked into: only the worker receives from it, and SQS counts. Dead
letters are received one batch after the other, because `StartMessageMoveTask` moves all messages,
forged ones too, which then come back with an ALERT each.

External calls. A message that is sent twice (lost answer, a crash before the deletion, two programs
at once) has one effect: the worker reads what exists, under the execution's lease. A letter that is
neither deleted nor released is visible again after `_HIDDEN_SECONDS`.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from steps.governance import aws
from steps.governance.dead_letters import DeadLetters

_HIDDEN_SECONDS = 120
_MOST_LETTERS = 2000
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True)
class Letter:
    """One message of the dead-letter queue. The body holds a token, so it is not in `repr`."""

    id: str
    receipt: str = field(repr=False)
    arn: str = ""  # of the execution; empty if the body is not a callback's
    token: str = field(default="", repr=False)


class Queues:
    """Both queues, with the reconciler's role."""

    def __init__(self, url: str, region: str) -> None:
        self._sqs, self._url = aws.client("sqs", region), url

    def waiting(self) -> int:
        """Return how many messages the register queue has, by SQS's approximate counts."""
        return self._count(self._url)

    def _count(self, url: str) -> int:
        with aws.translated(f"read the attributes of {url}"):
            answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))
        return sum(int(answer["Attributes"][name]) for name in _COUNTS)

    def dead(self) -> int:
        """Return how many messages the dead-letter queue has, by SQS's approximate counts."""
        return self._count(self._dead_letters_url)

    def dead_letters(self) -> list[Letter]:
        """Receive every message of the dead-letter queue; `release` gives them back.

        One that another program holds at this moment is not among them.
        """
        found: dict[str, Letter] = {}
        url = self._dead_letters_url
        while len(found) < _MOST_LETTERS:
            with aws.translated(f"receive from {url}"):
                answer = self._sqs.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=10,
                    VisibilityTimeout=_HIDDEN_SECONDS,
                    WaitTimeSeconds=0 if found else 1,
                )
            messages = answer.get("Messages", [])
            if not messages:
                break
            for message in messages:
                letter = _letter(message)
                found[letter.id] = letter
        return list(found.values())

    def release(self, letters: list[Letter]) -> None:
        """Make received messages visible again at once."""
        url = self._dead_letters_url
        for letter in letters:
            with aws.translated(f"give a message back to {url}"):
                self._sqs.change_message_visibility(
                    QueueUrl=url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
                )

    def redrive(self, letter: Letter) -> None:
        """Send a dead letter to the register queue, then delete it: it is never in neither."""
        self.send_request(letter.arn, letter.token)
        aws.delete_message(self._sqs, self._dead_letters_url, letter.receipt)

    def send_request(self, arn: str, token: str) -> None:
        """Ask the register worker to do or to complete the step that has this token."""
        body = {
            "token": token,
            "pipelineExecutionArn": arn,
            "arguments": {},
            "status": "Executing",
            "reconcile": True,
        }
        with aws.translated(f"send to {self._url}"):
            self._sqs.send_message(QueueUrl=self._url, MessageBody=json.dumps(body))

    @cached_property
    def _dead_letters_url(self) -> str:
        return DeadLetters.of(self._sqs, self._url).url


def _letter(message: dict[str, Any]) -> Letter:
    identity, receipt = str(message["MessageId"]), str(message["ReceiptHandle"])
    try:
        document = json.loads(message["Body"])
        arn, token = document["pipelineExecutionArn"], document["token"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Letter(identity, receipt)
    if not isinstance(arn, str) or not isinstance(token, str):
        return Letter(identity, receipt)
    return Letter(identity, receipt, arn, token)
