"""A worker that works overwrites its heartbeat with the rights of its role; others do not."""

import io
import json
import threading
import time
from typing import Any

import pytest

from steps.register.life.heartbeat import EMF, Heartbeat, beating
from steps.register.life.vital_signs import VitalSigns
from tests.steps.register.support.register_environment import (
    ARTIFACTS,
    REGION,
    RegisterEnvironment,
)

URI = f"s3://{ARTIFACTS}/workers/governed-finetune-test.json"


def heartbeat(uri: str | None = URI, metrics: str = "none") -> Heartbeat:
    return Heartbeat(uri, REGION, metrics, "governed-finetune-test")


def stored(environment: RegisterEnvironment) -> dict[str, Any]:
    answer = environment.client("s3").get_object(
        Bucket=ARTIFACTS, Key="workers/governed-finetune-test.json"
    )
    with answer["Body"] as body:
        found: dict[str, Any] = json.loads(body.read())
    return found


@pytest.mark.environment
def test_each_beat_overwrites_the_object(worker_environment: RegisterEnvironment) -> None:
    signs = VitalSigns()
    signs.polled()
    heartbeat().beat(signs)
    assert stored(worker_environment) == signs.document() | {"at": stored(worker_environment)["at"]}
    with signs.working("{}"):
        heartbeat().beat(signs)
    assert stored(worker_environment)["receives"] == 1
    assert stored(worker_environment)["state"] == "working"


@pytest.mark.environment
def test_a_beat_that_is_refused_is_one_line_in_the_log_and_the_worker_continues(
    worker_environment: RegisterEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    signs = VitalSigns()
    signs.polled()
    beats = threading.Event()
    document = signs.document

    def counted() -> dict[str, Any]:
        if caplog.messages:  # the first one has failed
            beats.set()
        return document()

    signs.document = counted  # type: ignore[method-assign]
    foreign = heartbeat(f"s3://{ARTIFACTS}/executions/not-mine.json")
    with beating(signs, foreign, every_seconds=0.01):
        assert beats.wait(20)
        time.sleep(0.1)
    (line,) = caplog.messages
    assert "no heartbeat: this role was refused: write the heartbeat s3://" in line


def test_a_worker_that_does_not_work_does_not_beat() -> None:
    output = io.StringIO()
    heartbeat(uri=None, metrics=EMF).beat(VitalSigns(), output)
    assert output.getvalue() == ""


def test_the_metric_is_a_line_of_cloudwatchs_embedded_format() -> None:
    signs, output = VitalSigns(), io.StringIO()
    signs.polled()
    heartbeat(uri=None, metrics=EMF).beat(signs, output)
    line = json.loads(output.getvalue())
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "GovernedFinetune"
    assert directive["Dimensions"] == [["Pipeline"]]
    assert {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]} == {
        "Heartbeat": 1,
        "Receives": 0,
    }
    assert line["Pipeline"] == "governed-finetune-test"
    assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < 60
