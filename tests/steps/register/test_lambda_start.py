"""A Lambda whose cold start fails keeps its message, hides it longer each time, and alerts."""

from typing import Any

import pytest

from steps.register import lambda_function
from steps.register.delivery.queue import Delivery, Queue
from steps.register.lambda_function import handler
from tests.steps.register.support import executions, register_environment
from tests.steps.register.support.deliveries import alerts
from tests.steps.register.support.register_environment import RegisterEnvironment

pytestmark = pytest.mark.environment


@pytest.fixture
def record(
    worker_environment: RegisterEnvironment,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """One received message of a function whose secret does not exist."""
    argv = execution.argv(**{"databricks-secret-id": "gf/databricks/gone"})
    for name, value in zip(argv[::2], argv[1::2], strict=True):
        monkeypatch.setenv(name.removeprefix("--").replace("-", "_").upper(), value)
    monkeypatch.setenv("AWS_REGION", register_environment.REGION)
    monkeypatch.setattr(lambda_function, "_worker", None)
    monkeypatch.setattr(lambda_function, "configure", lambda _, job: None)
    execution.send()
    message = worker_environment.client("sqs").receive_message(
        QueueUrl=execution.queue_url, AttributeNames=["All"]
    )["Messages"][0]
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
    }


def test_a_cold_start_that_fails_keeps_the_message_and_alerts(
    record: dict[str, Any],
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hidden: list[int] = []
    plain = Queue.give_back

    def noted(queue: Queue, delivery: Delivery, *, after_seconds: int) -> None:
        hidden.append(after_seconds)
        plain(queue, delivery, after_seconds=after_seconds)

    monkeypatch.setattr(Queue, "give_back", noted)
    kept = {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    for receive in range(1, 11):
        record["attributes"]["ApproximateReceiveCount"] = str(receive)
        assert handler({"Records": [record]}, None) == kept
    assert hidden[:3] == [60, 120, 240]
    assert sum(hidden) > 6 * 60 * 60
    assert len(alerts(caplog)) == 10
    (first, *_) = alerts(caplog)
    name = "ALERT worker-cannot-connect: "
    assert first.startswith(f"{name}the register worker cannot connect, at receive 1 of")
    assert "gf/databricks/gone" in alerts(caplog)[0]
    assert execution.waiting() == 1
    assert execution.answers() == []


def test_a_function_without_settings_alerts_and_keeps_the_message(
    record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("QUEUE_URL")
    assert handler({"Records": [record]}, None)["batchItemFailures"]
    (alert,) = alerts(caplog)
    assert "QUEUE_URL is missing" in alert
    assert "the message stays hidden for the queue's own time-out" in caplog.text
