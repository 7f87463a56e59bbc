"""The worker's log in CloudWatch, as Lambda writes it: line by line, with the role `register`.

    WorkerLog(file, lend).follow(stop)    # until `stop` is set; in a thread of the supervisor

The file stays the whole log. Lambda runs a function whose role lacks these rights, and its log is
missing; here too, and the file's last line says so. A lost answer or a stopped stand-in: the same
lines are sent again at the next look, so a line can be there twice. An expired session: a new one.
"""

import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError

GROUP = "/aws/lambda/governed-finetune-local-register"
LOOK_SECONDS = 1.0
# PutLogEvents takes 1,048,576 bytes and 10,000 events, each with 26 bytes of overhead
_MOST_BYTES, _MOST_LINES, _MOST_CHARACTERS = 500_000, 5_000, 50_000

Lend = Callable[[], Mapping[str, str]]  # the variables of a session of the role


class WorkerLog:
    """Sends what a file gets from now on."""

    def __init__(self, file: Path, lend: Lend) -> None:
        self._file, self._lend = file, lend
        self._sent = file.stat().st_size if file.exists() else 0  # bytes
        self._stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{secrets.token_hex(16)}"
        self._logs: Any = None

    def follow(self, stop: threading.Event) -> None:
        """Send new lines until `stop` is set, and then the last ones."""
        while not stop.wait(LOOK_SECONDS):
            if not self._look():
                return
        self._look()

    def _look(self) -> bool:
        """Send what is new; return whether it is worth looking again."""
        from botocore.exceptions import BotoCoreError, ClientError

        for lines, size in self._new():
            try:
                self._send(lines)
            except ClientError as error:
                if "Expired" not in str(error) and "Unrecognized" not in str(error):
                    _note(f"the worker's log is not in CloudWatch any more: {error}")
                    return False
                self._logs = None
                return True
            except (BotoCoreError, PipelineError):
                return True  # the stand-in does not answer now
            self._sent += size
        return True

    def _new(self) -> Iterator[tuple[list[str], int]]:
        """Yield batches of whole lines, each with its size in bytes."""
        if not self._file.exists() or self._file.stat().st_size <= self._sent:
            return
        with self._file.open("rb") as file:
            file.seek(self._sent)
            batch: list[str] = []
            size = 0
            for line in file:
                if not line.endswith(b"\n"):
                    break
                batch.append(line.decode(errors="replace").rstrip("\n")[:_MOST_CHARACTERS])
                size += len(line)
                if size > _MOST_BYTES or len(batch) == _MOST_LINES:
                    yield batch, size
                    batch, size = [], 0
            if batch:
                yield batch, size

    def _send(self, lines: list[str]) -> None:
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines if line.strip()]
        if events:
            names = {"logGroupName": GROUP, "logStreamName": self._stream}
            self._client(names).put_log_events(**names, logEvents=events)

    def _client(self, names: Mapping[str, str]) -> Any:
        if self._logs is None:
            logs = client(self._lend())
            with suppress(logs.exceptions.ResourceAlreadyExistsException):
                logs.create_log_stream(**names)
            self._logs = logs
        return self._logs


def client(variables: Mapping[str, str]) -> Any:
    """Return a client of CloudWatch Logs with these AWS variables; boto3 is not needed for it."""
    import botocore.session
    from botocore.config import Config

    return botocore.session.Session().create_client(
        "logs",
        region_name=variables["AWS_REGION"],
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=variables["AWS_SESSION_TOKEN"],
        config=Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2}),
    )


def _note(text: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} supervisor {text}\n")
    sys.stderr.flush()
