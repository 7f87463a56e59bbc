"""The worker's log is in CloudWatch too, with the role that Lambda has for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipeline.local import worker_log
from pipeline.local.aws import infrastructure
from tests.local.aws.support.forgotten_right import without

pytestmark = pytest.mark.environment
GROUP = f"/aws/lambda/{infrastructure.PREFIX}-register"


@pytest.fixture
def session(server):
    """The AWS variables of the worker's role."""
    keys = {name.upper(): value for name, value in server.keys("register").items()}
    return keys | {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": server.endpoint}


@contextmanager
def followed(file, lend, monkeypatch) -> Iterator[threading.Thread]:
    """A file whose log is sent, until the end of the block."""
    monkeypatch.setattr(worker_log, "LOOK_SECONDS", 0.05)
    stop = threading.Event()
    log = worker_log.WorkerLog(file, lend)
    thread = threading.Thread(target=log.follow, args=(stop,))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(20)


def lines(server):
    """Every line of the newest stream."""
    streams = server.client("logs").describe_log_streams(logGroupName=GROUP)["logStreams"]
    newest = max(streams, key=lambda each: each["creationTime"], default=None)
    return server.log(GROUP, newest["logStreamName"]) if newest else []


def write(file, text):
    with file.open("a") as log:
        log.write(text)


def test_new_whole_lines_are_sent_and_at_the_end_the_rest(server, session, tmp_path, monkeypatch):
    file = tmp_path / "register.log"
    write(file, "of another start\n")
    with followed(file, lambda: session, monkeypatch):
        write(file, "one\n\ntwo\nhalf")
        server.eventually(lambda: lines(server) == ["one", "two"])
        write(file, " a line\n")
        server.eventually(lambda: lines(server) == ["one", "two", "half a line"])
        write(file, "the last\n")
    assert lines(server) == ["one", "two", "half a line", "the last"]


def test_a_session_that_has_ended_is_replaced_and_no_line_is_lost(
    server, session, tmp_path, monkeypatch
):
    file = tmp_path / "register.log"
    ended = session | {"AWS_ACCESS_KEY_ID": "ASIAENDED0000000000A"}
    sessions = iter([ended, session])
    with followed(file, lambda: next(sessions), monkeypatch):
        write(file, "after twelve hours\n")
        server.eventually(lambda: lines(server) == ["after twelve hours"])
    assert next(sessions, None) is None


@pytest.mark.parametrize("action", ["logs:CreateLogStream", "logs:PutLogEvents"])
def test_a_role_without_the_right_leaves_the_file_and_says_so(
    server, session, tmp_path, monkeypatch, capfd, action
):
    file = tmp_path / "register.log"
    with without(server, "register", action), followed(file, lambda: session, monkeypatch) as log:
        write(file, "kept\n")
        server.eventually(lambda: not log.is_alive())
    said = capfd.readouterr().err
    assert "the worker's log is not in CloudWatch any more: " in said
    assert (
        f"governed-finetune-local-register/local-register is not authorized to perform: {action}"
        in said
    )
    assert file.read_text() == "kept\n"
