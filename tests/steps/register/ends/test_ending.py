"""When a registration ends, its pipeline step and the registry agree: a table of every end.

Each test states what is stored when a failure comes, and what becomes of it.
"""

from typing import Any

import pytest

from steps.governance.errors import AccessDenied, Unavailable
from steps.register import register
from steps.register.ends.standing import Standing
from steps.register.model_registry.registry import Registry
from steps.register.signing.signing import Signing
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support.deliveries import (
    alerts,
    deliver,
    deliver_for_the_last_time,
    failure_reason,
)

pytestmark = pytest.mark.environment

# The call that fails, by what is stored when it does.
NOTHING = (Registry, "ensure_version")
VERSION = (register.lineage_chain, "draw")
RECORD = (Registry, "set_alias")
PUBLISHED = None  # the answer itself
FINAL, PASSING = AccessDenied("no right: a test"), Unavailable("no answer: a test")


def failing(
    monkeypatch: pytest.MonkeyPatch, worker: Worker, place: Any, error: Exception
) -> pytest.MonkeyPatch:
    def fails(*_: object, **__: object) -> None:
        raise error

    owner, name = place or (worker.services.answers, "succeed")
    monkeypatch.setattr(owner, name, fails)
    return monkeypatch


def check_nothing_is_left(execution: executions.Execution, reason: str) -> None:
    assert execution.versions() == []
    assert reason in failure_reason(execution)


def aliases(execution: executions.Execution) -> list[str]:
    model = execution.environment.admin().registered_models.get(
        execution.model, include_aliases=True
    )
    return [str(alias.alias_name) for alias in model.aliases or []]


@pytest.mark.parametrize("place", [NOTHING, VERSION], ids=["nothing", "version"])
@pytest.mark.parametrize("last", [False, True], ids=["once", "last"])
def test_what_has_no_record_is_deleted_before_the_failure(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    last: bool,
) -> None:
    failing(monkeypatch, worker, place, PASSING if last else FINAL)
    execution.send()
    if last:
        assert deliver_for_the_last_time(worker) is Fate.LEAVE
    else:
        assert deliver(worker) is Fate.DELETE
    check_nothing_is_left(execution, "no answer: a test" if last else "no right: a test")


def test_what_cannot_be_deleted_is_not_answered_until_it_can(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution.send()
    with monkeypatch.context() as faulty:
        failing(faulty, worker, VERSION, FINAL)
        failing(faulty, worker, (Registry, "discard"), FINAL)
        failing(faulty, worker, (Standing, "discard"), FINAL)
        assert deliver(worker) is Fate.GIVE_BACK
    assert execution.answers() == []
    assert "no right: a test" in execution.state["description"]
    failing(monkeypatch, worker, VERSION, FINAL)
    assert deliver(worker) is Fate.DELETE
    check_nothing_is_left(execution, "no right: a test")


def test_what_cannot_be_deleted_on_the_last_receive_is_deleted_by_a_redrive(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    execution.send()
    with monkeypatch.context() as faulty:
        failing(faulty, worker, VERSION, PASSING)
        failing(faulty, worker, (Standing, "discard"), PASSING)
        assert deliver_for_the_last_time(worker) is Fate.LEAVE
    assert len(execution.versions()) == 1
    assert failure_reason(execution).startswith("a version may be left")
    assert any(execution.id in line and "may be left" in line for line in alerts(caplog))
    execution.send()  # what pipeline.redrive does
    assert deliver(worker) is Fate.DELETE
    check_nothing_is_left(execution, "a version may be left")


@pytest.mark.parametrize("place", [RECORD, PUBLISHED], ids=["record", "published"])
@pytest.mark.parametrize("error", [FINAL, PASSING], ids=["final", "passing"])
def test_a_registration_with_a_record_is_continued_and_succeeds(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    error: Exception,
) -> None:
    execution.send()
    with monkeypatch.context() as faulty:
        failing(faulty, worker, place, error)
        assert deliver(worker) is Fate.GIVE_BACK
    assert execution.answers() == []
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()


def test_a_record_whose_alias_is_never_set_is_withdrawn_on_the_last_receive(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, worker, RECORD, FINAL)
    execution.send()
    assert deliver_for_the_last_time(worker) is Fate.DELETE
    assert failure_reason(execution).startswith("version 1 was recorded and withdrawn: no right")
    assert execution.tags(1)["withdrawn"] == "its pipeline step was answered with Failure"
    assert aliases(execution) == []
    execution.check_signed(execution.versions()[0])


def test_what_is_published_is_never_answered_with_failure(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    execution.send()
    with monkeypatch.context() as faulty:
        failing(faulty, worker, PUBLISHED, FINAL)
        assert deliver_for_the_last_time(worker) is Fate.LEAVE
    assert execution.answers() == []
    (alert,) = alerts(caplog)
    assert "goes to the dead-letter queue unanswered" in alert
    execution.send()  # what pipeline.redrive does
    assert deliver(worker) is Fate.DELETE
    execution.check_registered()


@pytest.mark.parametrize(
    "unread", [(Standing, "record"), (Standing, "is_published")], ids=["record", "registry"]
)
def test_if_it_is_not_known_what_is_stored_the_last_receive_answers_nothing(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    unread: Any,
) -> None:
    execution.send()
    with monkeypatch.context() as faulty:
        failing(faulty, worker, PUBLISHED, PASSING)
        failing(faulty, worker, unread, PASSING)
        assert deliver_for_the_last_time(worker) is Fate.LEAVE
    assert execution.answers() == []
    assert len(alerts(caplog)) == 1


def test_a_record_whose_version_somebody_deleted_ends_in_failure(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution.send()
    with monkeypatch.context() as faulty:
        failing(faulty, worker, RECORD, PASSING)
        assert deliver(worker) is Fate.GIVE_BACK
    execution.environment.admin().model_versions.delete(execution.model, 1)
    assert deliver_for_the_last_time(worker) is Fate.LEAVE
    assert failure_reason(execution).startswith("version 1 was recorded and withdrawn")
    assert execution.versions() == []


def test_a_failure_by_somebody_else_although_all_is_stored_needs_a_person(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    execution.send()
    with monkeypatch.context() as faulty:
        failing(faulty, worker, PUBLISHED, PASSING)
        assert deliver(worker) is Fate.GIVE_BACK
    execution.step["StepStatus"] = "Failed"
    assert deliver(worker) is Fate.LEAVE
    (alert,) = alerts(caplog)
    assert alert.endswith("was answered with Failure, but record and alias are stored")


def test_a_failure_by_somebody_else_before_the_record_takes_the_version_back(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution.send()
    with monkeypatch.context() as faulty:
        failing(faulty, worker, VERSION, PASSING)
        assert deliver(worker) is Fate.GIVE_BACK
    assert len(execution.versions()) == 1
    execution.step["StepStatus"] = "Failed"
    with monkeypatch.context() as faulty:
        failing(faulty, worker, (Registry, "discard"), PASSING)
        assert deliver(worker) is Fate.GIVE_BACK
    assert deliver(worker) is Fate.DELETE
    assert execution.versions() == []


def test_a_signature_that_fails_after_the_record_is_completed_later(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution.send()
    with monkeypatch.context() as faulty:
        failing(faulty, worker, (Signing, "complete"), FINAL)
        assert deliver(worker) is Fate.GIVE_BACK
    assert execution.answers() == []
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()
