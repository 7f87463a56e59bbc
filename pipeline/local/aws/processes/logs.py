"""A job's lines on their way to CloudWatch Logs: in time order, complete, sent with the job role's
own session.

    stream = LogStream(client, group="/aws/sagemaker/TrainingJobs", name="job/algo-1-1763787600", copy=path)
    stream.write("…")
    stream.close()                      # returns when the last line is there

Lines are gathered for a moment and sent in batches. Every line also goes to a file in the job's
folder, so that a role without logs rights loses its CloudWatch stream, as in AWS, but not the
person's last hope of finding out why.
"""

import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.local.aws.store import now

GATHER_SECONDS = 0.2
_BATCH_EVENTS = (
    10_000  # PutLogEvents: at most 10,000 events and 1,048,576 bytes with 26 bytes of overhead each
)
_BATCH_BYTES = 1_000_000
_OVERHEAD_BYTES = 26
_EVENT_BYTES = (
    250_000  # of UTF-8; an event had at most 256 KiB, since 2025 1 MiB [botocore, PutLogEvents]
)


def parts(line: str, size: int = _EVENT_BYTES) -> Iterator[str]:
    """A line as texts of at most so many bytes of UTF-8. A byte that was no UTF-8 became three on
    the way here.
    """
    content, start = line.encode(), 0
    while len(content) - start > size:
        end = start + size
        while content[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        yield content[start:end].decode()
        start = end
    yield content[start:].decode()


class LogStream:
    """One log stream, written by one thread."""

    def __init__(self, client: Any, *, group: str, name: str, copy: Path) -> None:
        self._client = client
        self._group = group
        self._name = name
        self._copy = copy.open("a", encoding="utf-8")
        self._lines: queue.SimpleQueue[tuple[int, str] | None] = queue.SimpleQueue()
        self._last_milliseconds = 0
        self.last_line = ""
        self._sender = threading.Thread(target=self._run, daemon=True)
        self._sender.start()

    def write(self, line: str) -> None:
        """Add one line; its time is now, and never before the line before it."""
        self._last_milliseconds = max(self._last_milliseconds, int(now() * 1000))
        self._copy.write(line + "\n")
        self._copy.flush()
        if line.strip():
            self.last_line = line.strip()
            for part in parts(line):
                self._lines.put((self._last_milliseconds, part))

    def close(self) -> None:
        """Send what is left and end."""
        self._lines.put(None)
        self._sender.join()
        self._copy.close()

    def _run(self) -> None:
        try:
            self._create()
            open_ = True
            while open_:
                batch, open_ = self._gather()
                if batch:
                    self._client.put_log_events(
                        logGroupName=self._group, logStreamName=self._name, logEvents=batch
                    )
        except (BotoCoreError, ClientError) as error:
            sys.stderr.write(
                f"log stream {self._group} {self._name}: {error}; the lines are in "
                f"{self._copy.name}\n"
            )
            while self._lines.get() is not None:
                pass

    def _create(self) -> None:
        for call, names in (
            (self._client.create_log_group, {"logGroupName": self._group}),
            (
                self._client.create_log_stream,
                {"logGroupName": self._group, "logStreamName": self._name},
            ),
        ):
            try:
                call(**names)
            except self._client.exceptions.ResourceAlreadyExistsException:
                continue
            except ClientError as error:
                # A role needs no right to create a group that exists: the stream or the events will
                # tell.
                if (
                    error.response["Error"]["Code"] != "AccessDeniedException"
                    or "logStreamName" in names
                ):
                    raise

    def _gather(self) -> tuple[list[dict[str, Any]], bool]:
        batch: list[dict[str, Any]] = []
        size, deadline = 0, None
        while len(batch) < _BATCH_EVENTS and size < _BATCH_BYTES - _EVENT_BYTES:
            try:
                item = self._lines.get(
                    timeout=None if deadline is None else max(0.0, deadline - now())
                )
            except queue.Empty:
                return batch, True
            if item is None:
                return batch, False
            batch.append({"timestamp": item[0], "message": item[1]})
            size += len(item[1].encode()) + _OVERHEAD_BYTES
            deadline = deadline or now() + GATHER_SECONDS
        return batch, True
