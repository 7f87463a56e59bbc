"""The log lines of a step's job, from CloudWatch, without secrets.

    for line in job_logs.lines(config, client, step): …
    for line in job_logs.followed(config, client, step, ended=lambda: …): …

Prepare's driver and each host of Train write streams of their own; their lines are merged by time.
The steps never log a secret (docs/architecture.md, "Log lines"). `redacted` is a second guard, for
lines that others write. All calls read, so botocore repeats them.
"""

import heapq
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline import account
from pipeline.configuration.config import Config
from pipeline.execution.outcome import StepState

TRAINING_GROUP, EMR_GROUP = "/aws/sagemaker/TrainingJobs", "/aws/emr-serverless"
PAUSE_SECONDS = 2.0
_HIDDEN = "[hidden]"
# Key ids and tokens by their form, and values after a name of a secret. Each form is documented by
# its issuer: AWS key ids, Databricks and GitHub tokens, JSON web tokens.
_SECRET = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{12,20}\b"
    r"|\bdapi[0-9a-f]{32}(?:-\d+)?\b|\bdose[0-9a-f]{32}\b|\bgh[pousr]_[A-Za-z0-9]{20,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|(?<=://)[^\s/:@]+:[^\s/@]+(?=@)"
    r"|(?i:(?:client_?secret|secret_?access_?key|session_?token|access_?token|callback_?token"
    r"|password|authorization|x-amz-(?:security-token|signature)))"
    r"[\"']?\s*[:=]\s*[\"']?(?:Bearer\s+|Basic\s+)?(?P<value>[^\s\"',;&}]+)"
)


@dataclass(frozen=True, order=True)
class Line:
    """One line of a stream: when it was written, where, and its text without secrets."""

    milliseconds: int
    stream: str
    text: str

    @property
    def at(self) -> datetime:
        """When the line was written, in UTC."""
        return datetime.fromtimestamp(self.milliseconds / 1000, UTC)


def lines(config: Config, client: Any, step: StepState) -> Iterator[Line]:
    """Yield the lines of a step's job so far, in order of time.

    Raises:
        Refused: AWS refused.
    """
    yield from Reader(config, client, step).more()


def followed(
    config: Config,
    client: Any,
    step: StepState,
    *,
    ended: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Line]:
    """Yield the lines of a step's job until `ended` is true and the log has no more.

    Raises:
        Refused: AWS refused.
    """
    reader = Reader(config, client, step)
    while True:
        last = ended()  # asked first: lines that are written before the end are read after it
        yield from reader.more()
        if last:
            return
        sleep(PAUSE_SECONDS)


def redacted(text: str) -> str:
    """Return the text with each secret replaced by `[hidden]`."""

    def hidden(found: re.Match[str]) -> str:
        value = found["value"]
        return found[0].removesuffix(value) + _HIDDEN if value else _HIDDEN

    return _SECRET.sub(hidden, text)


class Reader:
    """Reads the streams of one job, and remembers how far."""

    def __init__(self, config: Config, client: Any, step: StepState) -> None:
        """Begin at the first line of the step's job."""
        self._config, self._client, self._prefix = config, client, step.streams
        self._group = EMR_GROUP if step.streams.startswith("applications/") else TRAINING_GROUP
        self._tokens: dict[str, str] = {}

    def more(self) -> Iterator[Line]:
        """Yield the lines since the last call."""
        if not self._prefix:
            return
        with account.answering(f"reading the log {self._group} {self._prefix}…", self._config):
            streams = self._streams()
            yield from heapq.merge(*(self._events(stream) for stream in streams))

    def _streams(self) -> list[str]:
        pages = self._client.get_paginator("describe_log_streams").paginate(
            logGroupName=self._group, logStreamNamePrefix=self._prefix
        )
        try:
            return [each["logStreamName"] for page in pages for each in page["logStreams"]]
        except self._client.exceptions.ResourceNotFoundException:
            return []  # the group is made with the account's first line

    def _events(self, stream: str) -> Iterator[Line]:
        """CloudWatch repeats the token of the last page, and a page before it may be empty."""
        while True:
            before = self._tokens.get(stream)
            more = {"nextToken": before} if before else {}
            answer = self._client.get_log_events(
                logGroupName=self._group, logStreamName=stream, startFromHead=True, **more
            )
            self._tokens[stream] = answer["nextForwardToken"]
            name = stream.removeprefix(self._prefix)
            for event in answer["events"]:
                yield Line(event["timestamp"], name, redacted(event["message"].rstrip("\n")))
            if answer["nextForwardToken"] == before:
                return
