"""The callback queue: receive, keep hidden, give back, delete.

Delivery is at least once, and a message is delivered again if the answer to its delete was lost. So
handling a message twice must have one effect. A message that is neither deleted nor given back is
delivered again when its visibility time-out ends. After the queue's maxReceiveCount it goes to the
dead-letter queue.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from steps.governance import aws
from steps.governance.dead_letters import DeadLetters

_POLL_SECONDS = 20  # SQS's longest long poll
_MAX_VISIBILITY_SECONDS = 12 * 60 * 60 - 60  # SQS's limit, counted from the receive
_FIRST_RECEIVE = "ApproximateFirstReceiveTimestamp"  # epoch milliseconds


@dataclass(frozen=True)
class Delivery:
    """One receipt of one message; `attempt` counts from 1.

    `since` is when SQS delivered the message first, None where SQS does not state it.
    """

    body: str = field(repr=False)  # holds the callback token
    receipt: str = field(repr=False)
    attempt: int
    since: datetime | None = None

    @classmethod
    def from_sqs(cls, message: dict[str, Any]) -> "Delivery":
        """Read a message of ReceiveMessage."""
        return cls(
            message["Body"],
            message["ReceiptHandle"],
            int(message["Attributes"]["ApproximateReceiveCount"]),
            _moment(message["Attributes"]),
        )

    @classmethod
    def from_lambda(cls, record: dict[str, Any]) -> "Delivery":
        """Read a record of a Lambda event source mapping."""
        return cls(
            record["body"],
            record["receiptHandle"],
            int(record["attributes"]["ApproximateReceiveCount"]),
            _moment(record["attributes"]),
        )


class Queue:
    """One SQS queue, with the worker's own role."""

    def __init__(self, url: str, region: str, *, visibility_seconds: int) -> None:
        self._sqs = aws.client("sqs", region)
        self._url, self._visibility_seconds = url, visibility_seconds
        self.max_attempts = DeadLetters.of(self._sqs, url).max_receives

    def receive(self) -> Delivery | None:
        """Wait for a message, at most 20 s."""
        with aws.translated(f"receive from {self._url}"):
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=_POLL_SECONDS,
                VisibilityTimeout=self._visibility_seconds,
                AttributeNames=["ApproximateReceiveCount", _FIRST_RECEIVE],
            )
        messages = answer.get("Messages", [])
        return Delivery.from_sqs(messages[0]) if messages else None

    def keep_hidden(self, delivery: Delivery) -> None:
        """Hide the message for another visibility time-out while it is handled."""
        self._set_visibility(delivery, self._visibility_seconds)

    def give_back(self, delivery: Delivery, *, after_seconds: int) -> None:
        """Let the message be delivered again after `after_seconds`."""
        self._set_visibility(delivery, min(after_seconds, _MAX_VISIBILITY_SECONDS))

    def delete(self, delivery: Delivery) -> None:
        """Delete the message: nothing is left to do."""
        aws.delete_message(self._sqs, self._url, delivery.receipt)

    def _set_visibility(self, delivery: Delivery, seconds: int) -> None:
        with aws.translated(f"change visibility in {self._url}"):
            self._sqs.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=delivery.receipt, VisibilityTimeout=seconds
            )


def _moment(attributes: Mapping[str, str]) -> datetime | None:
    milliseconds = attributes.get(_FIRST_RECEIVE)
    return None if milliseconds is None else datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
