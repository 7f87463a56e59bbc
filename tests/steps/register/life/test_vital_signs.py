"""A worker's signs: what it does, since when it does not work, and the endpoint that shows it."""

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from steps.governance.errors import UsageError
from steps.register.life.health import served
from steps.register.life.vital_signs import LONGEST_SECONDS, SILENT_SECONDS, VitalSigns

TOKEN = "AbCdEf0123"
ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/governed-finetune/execution/4x7k2m9p1q0z"
BODY = json.dumps({"token": TOKEN, "pipelineExecutionArn": ARN, "status": "Executing"})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signs(clock: Clock) -> VitalSigns:
    return VitalSigns(clock)


def test_a_worker_works_while_its_queue_answers(signs: VitalSigns, clock: Clock) -> None:
    assert signs.fault() == "it has not received from its queue yet"
    signs.polled()
    clock.now = SILENT_SECONDS
    assert signs.fault() is None
    clock.now += 1
    assert signs.fault() == "the queue has not answered it for 91 s"
    assert signs.document()["state"] == "failing"


def test_a_long_message_is_no_silence_and_an_endless_one_is_a_fault(
    signs: VitalSigns, clock: Clock
) -> None:
    with signs.working(BODY):
        clock.now = LONGEST_SECONDS
        assert signs.fault() is None
        assert signs.document()["state"] == "working"
        clock.now += 1
        assert signs.fault() == "it has worked on one message for 901 s"
    assert signs.fault() is None


def test_the_document_names_the_execution_and_never_the_token(signs: VitalSigns) -> None:
    with signs.working(BODY):
        pass
    with signs.working("not JSON"):
        assert signs.document()["execution"] is None
    with pytest.raises(ZeroDivisionError), signs.working(BODY):
        raise ZeroDivisionError
    document = signs.document()
    assert document["receives"] == 3
    assert document["execution"] == "4x7k2m9p1q0z"
    assert document["state"] == "waiting"
    assert document["worker"] == f"{socket.gethostname()}-{os.getpid()}"
    assert TOKEN not in json.dumps(document)
    assert set(document) == {
        *("version", "at", "worker", "started", "state", "receives", "execution", "taken_at")
    }


def get(port: int, path: str = "/health") -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error) if error.code == 503 else {}


@pytest.fixture
def port(signs: VitalSigns) -> Iterator[int]:
    with served("127.0.0.1:0", signs) as found:
        yield found


def test_the_endpoint_answers_200_while_the_worker_works_and_else_503(
    signs: VitalSigns, clock: Clock, port: int
) -> None:
    status, document = get(port)
    assert (status, document["fault"]) == (503, "it has not received from its queue yet")
    signs.polled()
    status, document = get(port)
    assert (status, document["fault"], document["state"]) == (200, None, "waiting")
    clock.now = SILENT_SECONDS + 1
    assert get(port)[0] == 503
    assert get(port, "/")[0] == 404


def test_a_taken_port_is_named(signs: VitalSigns, port: int) -> None:
    message = rf"cannot listen on 127.0.0.1:{port}\n(.*\n)*  do        choose a free port"
    with pytest.raises(UsageError, match=message), served(f"127.0.0.1:{port}", signs):
        pass


def test_there_is_no_endpoint_without_an_address(signs: VitalSigns) -> None:
    with served(None, signs) as found:
        assert found == 0
