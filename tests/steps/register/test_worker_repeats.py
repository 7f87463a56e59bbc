"""Deliveries that are repeated, and answers that are lost, have one effect."""

import threading
from typing import Any

import pytest

from steps.register.arguments import parse
from steps.register.delivery.lease import Lease
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions, register_environment
from tests.steps.register.support.deliveries import (
    alerts,
    deliver,
    deliver_for_the_last_time,
    deliver_until_deleted,
    raising_unavailable,
    refused_with,
)
from tests.steps.register.support.register_environment import RegisterEnvironment

pytestmark = pytest.mark.environment


def test_three_deliveries_of_one_message_have_one_effect(
    worker: Worker, execution: executions.Execution
) -> None:
    for _ in range(3):
        execution.send()
    assert [deliver(worker) for _ in range(3)] == [Fate.DELETE] * 3
    execution.check_settled()
    assert len(execution.answers()) == 1


LOST = [
    (path, {"drop": "after"})
    for path in (
        "registered-models/create$",
        "model-versions/create$",
        "generate-temporary-credentials$",
        "model-versions/finalize$",
        "model-versions/set-tag$",
        "registered-models/alias$",
        "external-metadata$",
        "external-lineage$",
    )
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("model-versions/create$", {"drop": "before"}),
    ("model-versions/create$", {"status": 503}),
    ("model-versions/finalize$", {"status": 500}),
    ("external-lineage$", {"status": 429, "headers": {"Retry-After": "1"}}),
    ("external-metadata$", {"status": 503}),
]


def register_despite(
    worker: Worker, execution: executions.Execution, *faults: tuple[str, dict[str, Any]]
) -> None:
    """Register with one fault of each kind; each must occur, and one of everything must remain."""
    execution.environment.faults(
        *({"method": "POST", "path": path, "times": 1} | fault for path, fault in faults)
    )
    execution.send()
    deliver_until_deleted(worker, most=3)
    assert execution.environment.faults_left() == 0
    execution.check_settled()


@pytest.mark.parametrize("faults", [LOST, REFUSED], ids=["lost", "refused"])
def test_lost_or_refused_answers_of_the_workspace_leave_one_of_everything(
    worker: Worker, execution: executions.Execution, faults: list[tuple[str, dict[str, Any]]]
) -> None:
    register_despite(worker, execution, *faults)


@pytest.mark.long
@pytest.mark.parametrize("fault", [*LOST, *REFUSED], ids=str)
def test_any_one_lost_or_refused_answer_leaves_one_of_everything(
    worker: Worker, execution: executions.Execution, fault: tuple[str, dict[str, Any]]
) -> None:
    register_despite(worker, execution, fault)


def test_if_the_reply_to_our_answer_is_lost_the_same_answer_is_sent_again(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.environment.stub.lose.append("SendPipelineExecutionStepSuccess")
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert len(execution.answers()) == 2
    execution.check_settled()


def test_an_archive_replaced_after_it_was_pinned_changes_nothing(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.environment.faults(
        {"method": "POST", "path": "model-versions/create$", "times": 3, "status": 503}
    )
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    execution.replace_artifact(b"something else")
    execution.environment.faults()
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()


def test_a_worker_that_must_end_gives_the_message_back_and_the_next_one_finishes(
    worker_environment: RegisterEnvironment, execution: executions.Execution
) -> None:
    stop = threading.Event()
    stopped = Worker(parse(execution.argv()), stop)
    execution.send()
    stop.set()
    assert deliver(stopped) is Fate.GIVE_BACK
    assert execution.answers() == []
    assert deliver(Worker(parse(execution.argv()), threading.Event())) is Fate.DELETE
    execution.check_settled()


def test_work_that_never_succeeds_fails_the_step_once_and_goes_to_the_dead_letter_queue(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.environment.faults({"path": "registered-models/get$", "times": 1000, "status": 503})
    execution.send()
    receives = register_environment.MAX_RECEIVES
    for _ in range(receives - 1):
        assert deliver(worker) is Fate.GIVE_BACK
    last = worker.queue.receive()
    assert last is not None
    assert worker.handle(last) is Fate.LEAVE
    worker.queue.give_back(last, after_seconds=0)  # instead of waiting for its time-out
    execution.environment.faults()
    assert "the registry gave no answer" in refused_with(execution)
    execution.check_dead_lettered()


def test_a_worker_that_must_end_on_the_last_receive_fails_the_step(
    worker_environment: RegisterEnvironment,
    execution: executions.Execution,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop = threading.Event()
    worker = Worker(parse(execution.argv()), stop)
    stop.set()
    execution.send()
    assert deliver_for_the_last_time(worker) is Fate.LEAVE
    assert "the worker was asked to stop" in refused_with(execution)
    (alert,) = alerts(caplog)
    assert execution.id in alert


def test_if_another_worker_holds_the_lease_on_the_last_receive_only_an_alert_is_logged(
    worker: Worker, execution: executions.Execution, caplog: pytest.LogCaptureFixture
) -> None:
    execution.send()
    folder = f"s3://{register_environment.EVIDENCE}/executions/{execution.id}/register"
    with Lease(register_environment.REGION, folder=folder, seconds=60):
        assert deliver_for_the_last_time(worker) is Fate.LEAVE
    assert execution.answers() == []
    (alert,) = alerts(caplog)
    name = f"ALERT message-unanswered: {execution.id}"
    assert alert.startswith(f"{name} goes to the dead-letter queue unanswered")


def test_a_message_that_could_not_be_verified_on_the_last_receive_alerts(
    worker: Worker,
    execution: executions.Execution,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker.services.truth, "steps", raising_unavailable)
    execution.send()
    assert deliver_for_the_last_time(worker) is Fate.LEAVE
    assert execution.answers() == []
    (alert,) = alerts(caplog)
    assert alert.startswith(
        "ALERT message-unanswered: a message that could not be verified goes to the dead-letter"
    )
