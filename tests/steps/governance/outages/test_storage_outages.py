"""A read below a Delta table waits for the storage as long as its phase states, and logs it."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from steps.governance.delta_storage import briefly, storage_error
from steps.governance.errors import GovernanceError, StorageUnanswered
from steps.governance.names import UcName
from steps.governance.unity_catalog import credentials
from steps.governance.unity_catalog.budgets import WORKING_SECONDS
from steps.governance.unity_catalog.credentials import Access, Credential, utc_now, with_keys
from steps.train.data import verified_table
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.train.support import curated_table

# As delta-rs 1.6.6 writes it, colours included.
UNANSWERED = (
    "Generic S3 error\n  \x1b[31m↳\x1b[0m Error performing GET http://s3/t/a in 10.1s, after 9 "
    "retries, max_retries\n  \x1b[31m↳\x1b[0m 1000, retry_timeout\n  \x1b[31m↳\x1b[0m 10s  - "
    "Server returned non-2xx status code\n  \x1b[31m↳\x1b[0m 503 Service Unavailable\n"
)
_REFUSING = """
from http.server import BaseHTTPRequestHandler, HTTPServer

class Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Refusing)
print(server.server_port, flush=True)
server.serve_forever()
"""


def vend() -> Credential:
    now = utc_now()
    return Credential("k", "s", "t", now, now + timedelta(hours=1))


def waiting(clock: FakedClock, seconds: float = WORKING_SECONDS) -> Access:
    return Access("s3://b/t", vend, policy=clock.policy(seconds))


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An S3 that is out. A process: delta-rs holds this one's lock while it waits for a file."""
    command = [sys.executable, "-c", _REFUSING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        endpoint = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        monkeypatch.setattr(
            credentials,
            "_endpoint_options",
            lambda _location: {
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ALLOW_HTTP": "true",
            },
        )
        yield
        server.terminate()


@pytest.mark.usefixtures("refusing")
def test_delta_rs_has_the_budget_of_the_phase() -> None:
    """The locked delta-rs takes these options: it names them in its error."""
    options = waiting(FakedClock(), seconds=1.0).storage_options()
    with pytest.raises(OSError, match="503 Service Unavailable") as error:
        DeltaTable("s3://b/t", version=0, storage_options=options)
    found = storage_error("read", error.value)
    assert isinstance(found, StorageUnanswered)
    assert "max_retries 1000, retry_timeout 1s" in str(found)


def test_a_job_states_32_minutes_and_a_read_that_is_repeated_some_seconds() -> None:
    options = waiting(FakedClock()).storage_options()
    assert options["retry_timeout"] == "1920s"
    assert options["backoff_config.max_backoff"] == "15s"
    assert briefly(options) == {**options, "retry_timeout": "10s"} | {
        "backoff_config.max_backoff": "1s"
    }


@pytest.mark.parametrize(
    "text",
    [
        UNANSWERED,
        "Generic S3 error: HTTP error: error decoding response body",
        "after 0 retries - Server returned non-2xx status code: 500 Internal Server Error",
        "Error performing PUT, after 0 retries - status code: 429 Too Many Requests",
    ],
)
@pytest.mark.parametrize("kind", [OSError, DeltaError])
def test_what_passes_is_a_storage_that_did_not_answer(kind: type[Exception], text: str) -> None:
    assert type(storage_error("read", kind(text))) is StorageUnanswered


@pytest.mark.parametrize(
    "text",
    [
        "Invalid JSON in log record",
        "Error performing GET, after 0 retries - status code: 404 Not Found",
        "part-503-500.parquet is not a Parquet file",
    ],
)
def test_what_does_not_pass_is_not_waited_for(text: str) -> None:
    clock, asked = FakedClock(), []

    def read() -> None:
        asked.append(1)
        raise storage_error("read", OSError(text))

    with pytest.raises(GovernanceError):
        with_keys(waiting(clock), read)
    assert len(asked) == 1
    assert clock.pauses == []


@pytest.mark.parametrize(("minutes", "there"), [(1, True), (10, True), (60, False)])
def test_an_outage_of_the_storage_is_waited_for_within_the_budget(
    minutes: int, there: bool, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakedClock()

    def read() -> str:
        if clock.passed < 60 * minutes:
            raise storage_error("read a file", OSError(UNANSWERED))
        return "rows"

    if there:
        assert with_keys(waiting(clock), read) == "rows"
        assert clock.passed < 60 * minutes + 31
    else:
        with pytest.raises(StorageUnanswered, match=r"(?s)read a file.*503.*run again when"):
            with_keys(waiting(clock), read)
        assert 30 * 60 <= clock.passed <= WORKING_SECONDS
    assert "the storage gave no answer: read a file" in caplog.text
    assert "gives up at 12:32:00 UTC" in caplog.text


def test_train_waits_in_every_part_of_its_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curated_table.commit(tmp_path, curated_table.ARN)
    manifest = curated_table.prepared(tmp_path, curated_table.ARN, 0)
    clock, seen = FakedClock(), set[str]()
    used: list[str] = []

    class Waiting(curated_table.LocalAccess):
        policy = clock.policy()

    def once(what: str) -> None:
        if what not in seen:
            seen.add(what)
            raise OSError(UNANSWERED)

    real_store, real_table = verified_table.DeltaStorageHandler, verified_table.DeltaTable

    def store(location: str, options: dict[str, str]) -> Any:
        used.append(options["retry_timeout"])
        once(f"file {len(used) // 2}")
        return real_store(location, options)

    def table(location: str, version: int | None, storage_options: dict[str, str]) -> Any:
        used.append(storage_options["retry_timeout"])
        once(f"version {version}")
        return real_table(location, version=version, storage_options=storage_options)

    monkeypatch.setattr(verified_table, "DeltaStorageHandler", store)
    monkeypatch.setattr(verified_table, "DeltaTable", table)
    known = curated_table.LocalCatalog(tmp_path).table(UcName.parse(curated_table.NAME))
    batches = verified_table.stream(manifest, known, Waiting(), execution_arn=curated_table.ARN)
    assert sum(batch.num_rows for batch in batches) == 30
    assert len(clock.pauses) == len(seen) >= 3 + len(manifest.files)
    assert set(used) == {"10s"}
