"""Notifications of the embedded environment: a queue that is subscribed to the layer watch's topic,
as a team's queue, mail or webhook is in an account.

    box = mailbox.opened(running)
    for notice in box.new(): …          # each once for this reader
    box.last(5)

Every command that shows notices receives all messages of the queue and keeps each as a file in
`<state>/notifications/` before it deletes the message. So two commands see all of them, and a crash
or a lost answer leaves the message, which comes again and is kept under the same name. A call that
is refused or not answered ends as `Refused`; botocore has tried it four times by then.
"""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import account
from pipeline.local.aws import infrastructure
from pipeline.local.notifications import notice
from pipeline.local.notifications.notice import Notice
from pipeline.local.setup import aws_account
from pipeline.local.started import Started

_QUEUE = f"{infrastructure.PREFIX}-notices"
_OWNER = f"{aws_account.REGION}:{infrastructure.ACCOUNT_ID}"
_TOPIC = f"arn:aws:sns:{_OWNER}:{infrastructure.PREFIX}"
_KEPT_SECONDS = 14 * 24 * 3600  # SQS's longest
_MOST = 10  # messages of one answer, SQS's most
_LATE_SECONDS = 10.0  # how long the notice of an end is waited for
_POLICY = {
    "Effect": "Allow",
    "Principal": {"Service": "sns.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": f"arn:aws:sqs:{_OWNER}:{_QUEUE}",
    "Condition": {"ArnEquals": {"aws:SourceArn": _TOPIC}},
}


class Mailbox:
    """The notices of one environment, as one reader sees them."""

    def __init__(self, running: Started, sqs: Any, url: str) -> None:
        self._running, self._sqs, self._url = running, sqs, url
        self._folder = running.state.folder / "notifications"
        self._seen = {path.name for path in self._files()}

    def new(self, *, wait_seconds: int = 0) -> list[Notice]:
        """Return the notices that this reader has not seen; wait for a first one so long.

        Raises:
            Refused: the account does not answer.
        """
        self._receive(wait_seconds)
        found = [path for path in self._files() if path.name not in self._seen]
        self._seen |= {path.name for path in found}
        return [_read(path) for path in found]

    def until_ended(self, arn: str) -> list[Notice]:
        """Return the new notices once the end of an execution is among those seen, or after 10 s:
        the event is sent after the status has changed.
        """
        deadline, found = time.monotonic() + _LATE_SECONDS, self.new()
        while not any(each.execution == arn for each in self.last()):
            if time.monotonic() > deadline:
                break
            found += self.new(wait_seconds=1)
        return found

    def last(self, count: int = 0) -> list[Notice]:
        """Return the newest notices, oldest first; all of them without a count."""
        return [_read(path) for path in self._files()[-count:]]

    def _receive(self, wait_seconds: int) -> None:
        while True:
            with account.answering("receiving notifications", self._running.config):
                messages = self._sqs.receive_message(
                    QueueUrl=self._url, MaxNumberOfMessages=_MOST, WaitTimeSeconds=wait_seconds
                ).get("Messages", [])
            for message in messages:
                if (found := notice.of(message["Body"], self._running)) is not None:
                    self._keep(found)
                with account.answering("deleting a notification", self._running.config):
                    self._sqs.delete_message(
                        QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"]
                    )
            if len(messages) < _MOST:
                return

    def _keep(self, found: Notice) -> None:
        """Write it under a name that sorts by time and is the same each time it comes."""
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{found.time.replace(':', '')}-{found.id}.json"
        draft = path.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(json.dumps(asdict(found)), encoding="utf-8")
        os.replace(draft, path)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))


def opened(running: Started) -> Mailbox:
    """Return the mailbox; its queue and subscription are made if they are not there.

    Raises:
        Refused: the account does not answer, or lacks the topic.
    """
    sqs, sns = running.root.client("sqs"), running.root.client("sns")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [_POLICY]})
    attributes = {"Policy": policy, "MessageRetentionPeriod": str(_KEPT_SECONDS)}
    with account.answering("subscribing to notifications", running.config):
        url = sqs.create_queue(QueueName=_QUEUE, Attributes=attributes)["QueueUrl"]
        sns.subscribe(TopicArn=_TOPIC, Protocol="sqs", Endpoint=_POLICY["Resource"])
    return Mailbox(running, sqs, url)


def _read(path: Path) -> Notice:
    return Notice(**json.loads(path.read_text(encoding="utf-8")))
