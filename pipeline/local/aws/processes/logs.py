"""Send a job's lines to CloudWatch Logs: in time order, complete, with the job role's own session.

    stream = LogStream(client, group="/aws/sagemaker/TrainingJobs", name="job/algo-1", copy=path)
    stream.write("…")
    stream.close()                      # returns when the last line has been sent

Lines are collected for `GATHER_SECONDS` and sent in batches. Every line is also written to a file
in the job's folder: if the role lacks rights on logs, the CloudWatch stream is missing, as in AWS,
but the file still shows why a job failed.
"""

import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.local.aws.processes.job_process import MAX_LINE_BYTES
from pipeline.local.aws.store import now

GATHER_SECONDS = 0.2
# PutLogEvents takes at most 10,000 events and 1,048,576 bytes with 26 bytes of overhead each.
_BATCH_EVENTS = 10_000
_BATCH_BYTES = 1_000_000
_OVERHEAD_BYTES = 26


def parts(line: str, size: int = MAX_LINE_BYTES) -> Iterator[str]:
    """Yield a line in parts of at most `size` bytes of UTF-8. (A byte that is not UTF-8 was
    replaced by a character of three bytes when the line was read.)
    """
    content, start = line.encode(), 0
    while len(content) - start > size:
        end = start + size
        while content[end] & 0xC0 == 0x80:  # not in the middle of a character
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
        """Add one line with the current time, but never earlier than the previous line's."""
        self._last_milliseconds = max(self._last_milliseconds, int(now() * 1000))
        self._copy.write(line + "\n")
        self._copy.flush()
        if line.strip():
            self.last_line = line.strip()
            for part in parts(line):
                self._lines.put((self._last_milliseconds, part))

    def close(self) -> None:
        """Send the remaining lines and end the thread."""
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
                # The group may exist without a right to create it; if not, the stream's creation
                # fails.
                if (
                    error.response["Error"]["Code"] != "AccessDeniedException"
                    or "logStreamName" in names
                ):
                    raise

    def _gather(self) -> tuple[list[dict[str, Any]], bool]:
        batch: list[dict[str, Any]] = []
        size, deadline = 0, None
        while len(batch) < _BATCH_EVENTS and size < _BATCH_BYTES - MAX_LINE_BYTES:
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
