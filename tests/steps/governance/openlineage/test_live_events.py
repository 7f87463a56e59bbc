"""Run events reach a real receiver; no receiver can delay or fail a job."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from steps.governance.errors import UsageError
from steps.governance.openlineage import sending
from steps.governance.openlineage.events import Content, Step
from steps.governance.openlineage.reporting import Reporting
from steps.governance.openlineage.target import Target, parse
from tests.steps.governance.openlineage.receiver import Receiver, receiving
from tests.steps.trace.formats.openlineage_schemas import faults

ARN = "arn:aws:sagemaker:us-east-1:111111111111:pipeline/p/execution/4x7k2m9p1q0z"
STEP = Step(ARN, "prepare")
CONTENT = Content(parameters={"seed": 17, "databricks_secret_id": "canary5ecret"})
DOMAIN = "dzd_4x7k2m9p1q0z"


def reporting(target: Target | None) -> Reporting:
    return Reporting(target, "us-east-1", stops=(InterruptedError,))


def run(target: Target | None, error: BaseException | None = None) -> float:
    """Report one run and return its seconds."""
    began = time.monotonic()
    with reporting(target).run(STEP, CONTENT):
        if error is not None:
            raise error
    return time.monotonic() - began


def kinds(bodies: list[bytes]) -> list[str]:
    events: list[dict[str, Any]] = [json.loads(body) for body in bodies]
    assert [fault for event in events for fault in faults(event)] == []
    assert {event["run"]["runId"] for event in events} <= {STEP.run_id}
    return [event["eventType"] for event in events]


def test_a_run_is_reported_over_http(caplog: pytest.LogCaptureFixture) -> None:
    with receiving(Receiver(status=201)) as receiver:
        run(Target("http", receiver.url))
    assert kinds(receiver.bodies) == ["START", "COMPLETE"]
    assert {path for path, _, _ in receiver.received} == {"/api/v1/lineage"}
    assert b"canary5ecret" not in b"".join(receiver.bodies)
    assert b'"seed"' in receiver.bodies[0]
    assert caplog.records == []


def test_events_are_appended_to_a_file_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    for _ in range(2):
        run(Target("file", str(path)))
    assert kinds(path.read_bytes().splitlines()) == ["START", "COMPLETE"] * 2


def test_datazone_gets_the_event_with_a_token_of_its_content(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving(Receiver(body=b'{"id":"1","domainId":"d"}')) as receiver:
        origin = receiver.url.removesuffix("/api/v1/lineage")
        monkeypatch.setenv("AWS_ENDPOINT_URL_DATAZONE", origin)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary5ecret")
        run(Target("datazone", DOMAIN))
    assert kinds(receiver.bodies) == ["START", "COMPLETE"]
    path, headers, body = receiver.received[0]
    assert path == f"/v2/domains/{DOMAIN}/lineage/events"
    assert sending.hashlib.sha256(body).hexdigest() in headers.values()


def test_without_a_receiver_nothing_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    run(None)
    assert caplog.records == []


def test_an_error_is_reported_by_its_class_and_passes_unchanged() -> None:
    error = UsageError("the text canary5ecret")
    with receiving(Receiver()) as receiver, pytest.raises(UsageError) as raised:
        run(Target("http", receiver.url), error)
    assert raised.value is error
    assert kinds(receiver.bodies) == ["START", "FAIL"]
    last = json.loads(receiver.bodies[1])
    assert last["run"]["facets"]["errorMessage"]["message"] == "UsageError"
    assert b"canary5ecret" not in receiver.bodies[1]


@pytest.mark.parametrize("error", [InterruptedError(), KeyboardInterrupt(), SystemExit(143)])
def test_a_stop_is_reported_as_abort(error: BaseException) -> None:
    with receiving(Receiver()) as receiver, pytest.raises(type(error)):
        run(Target("http", receiver.url), error)
    assert kinds(receiver.bodies) == ["START", "ABORT"]


@pytest.mark.parametrize(
    ("status", "warning"),
    [(500, "status 500"), (404, "status 404"), (401, "status 401"), (302, "status 302")],
)
def test_a_refusing_receiver_is_a_warning_and_no_redirect_is_followed(
    status: int, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving(Receiver()) as other:
        elsewhere = {"Location": other.url}
        with receiving(Receiver(status, elsewhere, body=b"canary5ecret")) as receiver:
            run(Target("http", receiver.url))
    assert len(receiver.received) == 2
    assert other.received == []
    assert [warning in message for message in caplog.messages] == [True, True]
    assert "canary5ecret" not in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


@pytest.mark.parametrize("trickle_seconds", [0.05, 60.0])
def test_a_slow_receiver_delays_a_job_only_so_long(
    trickle_seconds: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    with receiving(Receiver(trickle_seconds=trickle_seconds)) as receiver:
        seconds = run(Target("http", receiver.url))
        assert 0.5 < seconds < 10  # 42 s without the bound
    assert len(caplog.messages) == 2
    assert all("the job continues" in message for message in caplog.messages)


def test_the_bound_of_an_event_is_five_seconds() -> None:
    assert sending.SECONDS == 5.0


@pytest.mark.parametrize(
    ("target", "warning"),
    [
        (Target("http", "http://127.0.0.1:1/"), "ConnectionError"),
        (Target("file", "/no/such/folder/events"), "FileNotFoundError"),
        (Target("datazone", "dzd_1"), "Error"),
    ],
)
def test_an_absent_receiver_is_a_warning(
    target: Target,
    warning: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 60.0)  # a busy machine makes boto3's client in seconds
    monkeypatch.setenv("AWS_ENDPOINT_URL_DATAZONE", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary5ecret")
    run(target)
    assert [warning in message for message in caplog.messages] == [True, True]
    assert "canary5ecret" not in caplog.text


def test_a_password_of_this_machine_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password canary5ecret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with receiving(Receiver()) as receiver:
        run(Target("http", receiver.url))
    assert all("Authorization" not in headers for _, headers, _ in receiver.received)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("none", None),
        ("file:/a/b.ndjson", Target("file", "/a/b.ndjson")),
        ("https://h.example.com/x", Target("http", "https://h.example.com/x")),
        ("http://127.0.0.1:8080", Target("http", "http://127.0.0.1:8080")),
        (f"datazone:{DOMAIN}", Target("datazone", DOMAIN)),
    ],
)
def test_a_target_is_one_word(text: str, target: Target | None) -> None:
    assert parse(text) == target


@pytest.mark.parametrize(
    "text",
    [
        *("", "file:", "file:relative", "file:/a/../b", "file:/", "datazone:", "datazone:x"),
        *("http://example.com/", "https://u:p@h/", "https://h/?token=x", "https://h/#x", "ftp://h"),
        *("http://127.0.0.1.example.com/", "http://localhost@example.com/", "https://h/ x"),
    ],
)
def test_another_word_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a target"):
        parse(text)
