"""A registration that must wait is tried for hours; the time decides, not the count of receives."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steps.governance.unity_catalog.budgets import DELIVERING_SECONDS
from steps.register import worker as worker_module
from steps.register.arguments import parse
from steps.register.delivery.patience import Patience, utc_now
from steps.register.delivery.queue import Delivery
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support.deliveries import alerts, deliver, failure_reason
from tests.steps.register.test_process import GOOD, argv

COMPUTE = Path(__file__).parents[4] / "conf" / "infrastructure" / "compute.yaml"
START = datetime(2026, 11, 29, 8, tzinfo=UTC)


def test_the_default_is_the_stated_budget() -> None:
    assert parse(argv(GOOD)).give_up_after_seconds == DELIVERING_SECONDS
    assert parse(argv(GOOD | {"give-up-after-seconds": "60"})).give_up_after_seconds == 60


def test_an_outage_of_almost_six_hours_fits_into_half_of_the_queues_receives() -> None:
    """The other half is for restarts of workers, which are receives too."""
    clock = [START]
    patience = Patience(DELIVERING_SECONDS, lambda: clock[0])
    delivery, pauses = Delivery("", "", 1, START), []
    while not patience.is_over(delivery):
        pause = worker_module._backoff(delivery)
        pauses.append(patience.shortened(pause, delivery))
        clock[0] += timedelta(seconds=pauses[-1])
        delivery = replace(delivery, attempt=delivery.attempt + 1)
    most = re.search(r"RegisterDeadLetters.Arn, maxReceiveCount: (\d+)", COMPUTE.read_text())
    assert most is not None
    assert delivery.attempt <= int(most[1]) / 2
    assert clock[0] - START >= timedelta(hours=6)
    assert sum(pauses) <= DELIVERING_SECONDS + 1
    assert pauses[:-1] == sorted(pauses[:-1])
    assert pauses[:4] == [2, 4, 8, 16]


def test_lambda_states_the_first_receive_too() -> None:
    attributes = {
        "ApproximateReceiveCount": "3",
        "ApproximateFirstReceiveTimestamp": str(int(START.timestamp() * 1000)),
    }
    record = {"body": "b", "receiptHandle": "r", "attributes": attributes}
    assert Delivery.from_lambda(record).since == START


@pytest.mark.environment
def test_within_its_time_a_registration_waits_and_names_the_end(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.state["parameters"]["ModelName"] = "edgar.nowhere.risk_analyst"
    execution.send()
    began = utc_now()
    worker.patience = Patience(DELIVERING_SECONDS, lambda: began + timedelta(hours=5, minutes=59))
    assert deliver(worker) is Fate.GIVE_BACK
    assert execution.answers() == []
    ends = re.search(r"gives up at (.{16}) UTC; next attempt", execution.state["description"])
    assert ends is not None
    end = datetime.strptime(ends[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    assert abs(end - began - timedelta(hours=6)) < timedelta(minutes=10)


@pytest.mark.environment
def test_after_its_time_the_step_fails_once_with_an_alert(
    worker: Worker, execution: executions.Execution, caplog: pytest.LogCaptureFixture
) -> None:
    execution.state["parameters"]["ModelName"] = "edgar.nowhere.risk_analyst"
    execution.send()
    worker.patience = Patience(DELIVERING_SECONDS, lambda: utc_now() + timedelta(hours=6))
    assert deliver(worker) is Fate.DELETE
    assert "Schema 'edgar.nowhere' does not exist" in failure_reason(execution)
    (alert,) = alerts(caplog)
    assert f"{execution.id} cannot be registered" in alert
    assert execution.waiting(execution.queue_url) == 0
