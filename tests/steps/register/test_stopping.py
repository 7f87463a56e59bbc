"""A stop ends within a minute, whatever Register does at that moment: waits, works, hangs, or has lost its worker."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from steps.governance.errors import Unavailable
from steps.governance.lineage import Lineage
from steps.register import undoing
from steps.register import worker as workers
from steps.register.arguments import parse
from steps.register.delivery import stop_watch
from steps.register.delivery.lease import Lease
from steps.register.delivery.stop_watch import Stopping, StopWatch
from steps.register.model_registry.registry import Registry
from steps.register.undoing import Undoing
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support import register_environment as beds

pytestmark = pytest.mark.environment


@pytest.fixture
def worker(worker_environment: beds.Bed, execution: executions.Execution) -> Worker:
    return Worker(parse(execution.argv()), threading.Event())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stop watch with seconds for minutes."""
    monkeypatch.setattr(stop_watch, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(stop_watch, "ANSWER_SECONDS", 1.0)


def deliver(worker: Worker, **changed: Any) -> Fate:
    for _ in range(3):  # 20 s each
        if (delivery := worker.queue.receive()) is not None:
            return worker.handle(replace(delivery, **changed))
    pytest.fail("the queue holds no message any more")


def stop(execution: executions.Execution) -> None:
    """As StopPipelineExecution does: the status, and a second message."""
    execution.state["status"] = "Stopping"
    execution.send(execution.body(status="Stopping"))


def reason(execution: executions.Execution) -> str:
    (answer,) = execution.answers()
    assert answer["status"] == "Failed"
    return str(answer["FailureReason"])


def given_back(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """After how many seconds messages were given back."""
    found: list[int] = []
    plain = worker.queue.give_back

    def noted(delivery: Any, *, after_seconds: int) -> None:
        found.append(after_seconds)
        plain(delivery, after_seconds=0)

    monkeypatch.setattr(worker.queue, "give_back", noted)
    return found


def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_stop_while_register_waits_for_a_schema_ends_though_nothing_can_be_undone_there(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Undoing met what registering waits for, and waited as long."""
    monkeypatch.setattr(undoing, "_TRY_SECONDS", 0.0)
    execution.state["parameters"]["ModelName"] = "edgar.nowhere.risk_analyst"
    execution.send()
    assert deliver(worker, attempt=4) is Fate.GIVE_BACK  # and now away for 16 s
    assert "Register waits: " in execution.state["description"]
    stop(execution)
    assert deliver(worker) is Fate.DELETE
    assert reason(execution).startswith("stopped on request")
    assert execution.state["description"] == ""


def test_a_workspace_that_refuses_to_undo_does_not_hold_a_stop_up_and_alerts(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(undoing, "_TRY_SECONDS", 1.0)
    monkeypatch.setattr(undoing, "_PAUSE_SECONDS", 0.1)
    execution.bed.faults({"path": "model-versions/create$", "times": 3, "status": 503})
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    execution.bed.faults({"path": "model-versions/search", "times": 1000, "status": 503})
    stop(execution)
    try:
        assert deliver(worker) is Fate.DELETE
    finally:
        execution.bed.faults()
    assert reason(execution).startswith(
        "stopped on request; whether a version was left is not known"
    )
    (alert,) = [
        record.getMessage() for record in caplog.records if record.getMessage().startswith("ALERT")
    ]
    assert execution.id in alert


def test_a_workspace_that_answers_again_in_time_is_undone(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undoing, "_PAUSE_SECONDS", 0.1)
    execution.bed.faults({"path": "model-versions/finalize$", "times": 3, "status": 503})
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    assert len(execution.versions()) == 1
    execution.bed.faults({"path": "model-versions/search", "times": 2, "status": 503})
    stop(execution)
    assert deliver(worker) is Fate.DELETE
    assert reason(execution) == "stopped on request before the model was registered"
    assert execution.versions() == []


@pytest.mark.usefixtures("impatient")
def test_a_stop_during_work_begins_no_further_effect(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes: list[object] = []
    plain = Lineage.ensure_node

    def stopped_meanwhile(lineage: Lineage, node: Any) -> None:
        plain(lineage, node)
        nodes.append(node)
        execution.state["status"] = "Stopping"
        time.sleep(0.5)  # longer than the watch takes to notice

    monkeypatch.setattr(Lineage, "ensure_node", stopped_meanwhile)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert len(nodes) == 1, "the second was begun after the stop"
    assert reason(execution) == "stopped on request before the model was registered"
    assert execution.versions() == []


@pytest.mark.usefixtures("impatient")
def test_a_call_that_hangs_does_not_hold_a_stop_up(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, released = threading.Event(), threading.Event()
    plain = Registry.ensure_version

    def hangs(registry: Registry, *args: Any, **told: Any) -> int:
        made = plain(registry, *args, **told)
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
        assert reason(execution) == undoing.LATE
        assert fates == []
    finally:
        released.set()
        thread.join(60)
    assert fates == [Fate.DELETE]
    assert execution.versions() == [], "what the call had made is undone after all"
    assert deliver(worker) is Fate.DELETE  # the message of the stop finds the step answered


def test_a_stop_waits_for_no_longer_than_a_minute_for_the_lease_of_a_worker_that_died(
    worker_environment: beds.Bed, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []

    class Noted(Lease):
        def __init__(self, region: str, *, folder: str, seconds: int) -> None:
            taken.append(seconds)
            super().__init__(region, folder=folder, seconds=seconds)

    monkeypatch.setattr(workers, "Lease", Noted)
    worker = Worker(parse(execution.argv(**{"visibility-seconds": "900"})), threading.Event())
    seconds = given_back(worker, monkeypatch)
    folder = f"s3://{beds.EVIDENCE}/executions/{execution.id}/register"
    died = Lease(beds.REGION, folder=folder, seconds=1).__enter__()
    stop(execution)
    assert deliver(worker) is Fate.GIVE_BACK
    assert taken == [40]
    assert seconds[0] <= 41
    died.__exit__(None, None, None)
    assert deliver(worker) is Fate.DELETE
    assert reason(execution).startswith("stopped on request")


def test_a_stop_that_meets_a_fault_is_tried_again_soon_however_often_it_came(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: Any, **__: Any) -> None:
        raise Unavailable("no answer")

    seconds = given_back(worker, monkeypatch)
    stop(execution)
    with monkeypatch.context() as faulty:
        faulty.setattr(worker._truth, "verify", unavailable)
        assert deliver(worker, attempt=4) is Fate.GIVE_BACK
    monkeypatch.setattr(Undoing, "run", unavailable)
    assert deliver(worker, attempt=4) is Fate.GIVE_BACK
    assert seconds == [5, 5]


def test_the_watch_answers_once_and_outlives_a_sagemaker_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stop_watch, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(stop_watch, "ANSWER_SECONDS", 0.1)
    asked, answered = [], []

    def stopping() -> bool:
        asked.append(1)
        if len(asked) == 1:
            raise Unavailable("no answer")
        return True

    with StopWatch(stopping, lambda: answered.append(1)) as watch:
        watch.check()
        until(lambda: answered)
        with pytest.raises(Stopping):
            watch.check()
        time.sleep(0.3)
    assert len(asked) == 2
    assert answered == [1]


def test_a_registration_that_ends_in_time_is_not_answered_by_the_watch() -> None:
    answered: list[int] = []
    with (
        StopWatch(lambda: True, lambda: answered.append(1), known=True) as watch,
        pytest.raises(Stopping),
    ):
        watch.check()
    assert answered == []
