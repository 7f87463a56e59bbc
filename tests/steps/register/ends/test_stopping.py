"""A stop ends within a minute: while Register waits, works, hangs, or after its worker died."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from steps.governance.errors import Unavailable
from steps.governance.unity_catalog.lineage import Lineage
from steps.register import attempt
from steps.register.arguments import parse
from steps.register.delivery import stop_watch
from steps.register.delivery.lease import Lease
from steps.register.delivery.stop_watch import Stopping, StopWatch
from steps.register.ends import undoing
from steps.register.ends.undoing import Undoing
from steps.register.model_registry.registry import Registry
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions, register_environment
from tests.steps.register.support.deliveries import alerts, deliver, failure_reason
from tests.steps.register.support.register_environment import RegisterEnvironment

pytestmark = pytest.mark.environment


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop watch that asks every 0.1 s and answers after 1 s."""
    monkeypatch.setattr(stop_watch, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(stop_watch, "ANSWER_SECONDS", 1.0)


def stop(execution: executions.Execution) -> None:
    """Do what StopPipelineExecution does: set the status, and send a second message."""
    execution.state["status"] = "Stopping"
    execution.send(execution.body(status="Stopping"))


def given_back(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that collects after how many seconds messages are given back."""
    found: list[int] = []
    plain = worker.queue.give_back

    def noted(delivery: Any, *, after_seconds: int) -> None:
        found.append(after_seconds)
        plain(delivery, after_seconds=0)

    monkeypatch.setattr(worker.queue, "give_back", noted)
    return found


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_stop_during_the_wait_for_a_schema_ends_although_nothing_can_be_undone(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Undoing meets the missing schema that the registration waits for."""
    monkeypatch.setattr(undoing, "_TRY_SECONDS", 0.0)
    execution.state["parameters"]["ModelName"] = "edgar.nowhere.risk_analyst"
    execution.send()
    assert deliver(worker, attempt=4) is Fate.GIVE_BACK  # and now hidden for a while
    assert "Register waits: " in execution.state["description"]
    stop(execution)
    assert deliver(worker) is Fate.DELETE
    assert failure_reason(execution).startswith("stopped on request")
    assert execution.state["description"] == ""


def test_if_the_workspace_does_not_let_undo_the_stop_ends_with_an_alert(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(undoing, "_TRY_SECONDS", 1.0)
    monkeypatch.setattr(undoing, "_PAUSE_SECONDS", 0.1)
    execution.environment.faults({"path": "model-versions/finalize$", "times": 3, "status": 503})
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    execution.environment.faults({"path": "model-versions/search", "times": 1000, "status": 503})
    stop(execution)
    try:
        assert deliver(worker) is Fate.GIVE_BACK
    finally:
        execution.environment.faults()
    assert failure_reason(execution).startswith(
        "stopped on request; whether a version was left is not known"
    )
    (alert,) = alerts(caplog)
    assert execution.id in alert
    assert len(execution.versions()) == 1
    assert deliver(worker) is Fate.DELETE
    assert execution.versions() == [], "the message was kept to delete what was left"


def test_if_the_workspace_answers_again_in_time_the_version_is_deleted(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undoing, "_PAUSE_SECONDS", 0.1)
    execution.environment.faults({"path": "model-versions/finalize$", "times": 3, "status": 503})
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    assert len(execution.versions()) == 1
    execution.environment.faults({"path": "model-versions/search", "times": 2, "status": 503})
    stop(execution)
    assert deliver(worker) is Fate.DELETE
    assert failure_reason(execution) == "stopped on request before the model was registered"
    assert execution.versions() == []


def test_a_stop_during_work_begins_no_further_effect(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes: list[object] = []
    noticed = threading.Event()
    plain, look = Lineage.ensure_node, StopWatch._look

    def stopped_meanwhile(lineage: Lineage, node: Any) -> None:
        plain(lineage, node)
        nodes.append(node)
        execution.state["status"] = "Stopping"
        assert noticed.wait(60)

    def noting(watch: StopWatch) -> None:
        look(watch)
        if watch._noticed_at is not None:
            noticed.set()

    monkeypatch.setattr(stop_watch, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(StopWatch, "_look", noting)
    monkeypatch.setattr(Lineage, "ensure_node", stopped_meanwhile)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert len(nodes) == 1, "the second was begun after the stop"
    assert failure_reason(execution) == "stopped on request before the model was registered"
    assert execution.versions() == []


@pytest.mark.usefixtures("impatient")
def test_a_call_that_hangs_does_not_delay_a_stop(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, released = threading.Event(), threading.Event()
    plain = Registry.ensure_version

    def hangs(registry: Registry, *args: Any, **named: Any) -> int:
        made = plain(registry, *args, **named)
        hanging.set()
        assert released.wait(60)
        return made

    monkeypatch.setattr(Registry, "ensure_version", hangs)
    execution.send()
    fates: list[Fate] = []
    thread = threading.Thread(target=lambda: fates.append(deliver(worker)))
    thread.start()
    try:
        assert hanging.wait(60)
        stop(execution)
        until(execution.answers)
        assert failure_reason(execution) == undoing.LATE
        assert fates == []
    finally:
        released.set()
        thread.join(60)
    assert fates == [Fate.DELETE]
    assert execution.versions() == [], "the version that the call made is deleted"
    assert deliver(worker) is Fate.DELETE  # the message of the stop finds the step answered


def test_a_stop_waits_for_no_longer_than_a_minute_for_the_lease_of_a_worker_that_died(
    worker_environment: RegisterEnvironment,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []

    class Noted(Lease):
        def __init__(self, region: str, *, seconds: int, **others: Any) -> None:
            taken.append(seconds)
            super().__init__(region, seconds=seconds, **others)

    monkeypatch.setattr(attempt, "Lease", Noted)
    worker = Worker(parse(execution.argv(**{"visibility-seconds": "900"})), threading.Event())
    seconds = given_back(worker, monkeypatch)
    folder = f"s3://{register_environment.EVIDENCE}/executions/{execution.id}/register"
    died = Lease(register_environment.REGION, folder=folder, seconds=1).__enter__()
    stop(execution)
    assert deliver(worker) is Fate.GIVE_BACK
    assert taken == [40]
    assert seconds[0] <= 41
    died.__exit__(None, None, None)
    assert deliver(worker) is Fate.DELETE
    assert failure_reason(execution).startswith("stopped on request")


def test_a_stop_that_meets_a_fault_is_tried_again_after_five_seconds_each_time(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: Any, **__: Any) -> None:
        raise Unavailable("no answer")

    seconds = given_back(worker, monkeypatch)
    stop(execution)
    with monkeypatch.context() as faulty:
        faulty.setattr(worker.services.truth, "verify", unavailable)
        assert deliver(worker, attempt=4) is Fate.GIVE_BACK
    monkeypatch.setattr(Undoing, "run", unavailable)
    assert deliver(worker, attempt=4) is Fate.GIVE_BACK
    assert seconds == [5, 5]


def test_the_watch_answers_once_and_survives_a_call_without_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stop_watch, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(stop_watch, "ANSWER_SECONDS", 0.1)
    calls, answered = [], []

    def stopping() -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise Unavailable("no answer")
        return True

    def answer() -> bool:
        answered.append(1)
        return len(answered) > 1

    with StopWatch(stopping, answer) as watch:
        watch.check()
        until(lambda: len(answered) > 1)
        with pytest.raises(Stopping):
            watch.check()
        time.sleep(0.3)
    assert len(calls) == 2
    assert answered == [1, 1], "asked again until it answered, and then no more"


def test_a_registration_that_ends_in_time_is_not_answered_by_the_watch() -> None:
    answered: list[int] = []
    with (
        StopWatch(lambda: True, lambda: not answered.append(1), known=True) as watch,
        pytest.raises(Stopping),
    ):
        watch.check()
    assert answered == []
