"""What a stop undoes, by the moment at which it comes."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from databricks.sdk.errors import NotFound

from steps.register import register
from steps.register.model_registry.registry import Registry
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support.deliveries import (
    deliver,
    raising_unavailable,
    refused_with,
)

pytestmark = pytest.mark.environment


@pytest.mark.parametrize("spelled", ["status", "Status"])
def test_a_stop_before_work_ends_the_step_and_registers_nothing(
    worker: Worker, execution: executions.Execution, spelled: str
) -> None:
    execution.state["status"] = "Stopping"
    execution.send(execution.body(**{spelled: "Stopping"}))
    assert deliver(worker) is Fate.DELETE
    assert "stopped on request" in refused_with(execution)
    assert execution.versions() == []
    assert execution.waiting() == 0


def test_a_stop_undoes_a_version_that_never_became_ready(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.environment.faults(
        {"method": "POST", "path": "model-versions/finalize$", "times": 3, "status": 503}
    )
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    assert len(execution.versions()) == 1
    execution.state["status"] = "Stopping"
    assert deliver(worker) is Fate.DELETE
    assert execution.versions() == []
    assert "stopped on request" in refused_with(execution)


def test_a_stop_during_work_is_noticed_before_the_version(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = worker.services.facts.read

    def stopped_meanwhile(arn: str) -> Any:
        execution.state["status"] = "Stopping"
        return facts(arn)

    monkeypatch.setattr(worker.services.facts, "read", stopped_meanwhile)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert execution.versions() == []
    assert "stopped on request" in refused_with(execution)


def stopping_after(
    execution: executions.Execution, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    """Stop the execution when `name` returns."""
    plain = getattr(owner, name)

    def then_stopped(*args: Any, **kwargs: Any) -> Any:
        made = plain(*args, **kwargs)
        execution.state["status"] = "Stopping"
        return made

    monkeypatch.setattr(owner, name, then_stopped)


@pytest.mark.parametrize(
    ("owner", "name", "drawn"),
    [(Registry, "ensure_version", False), (register.lineage_chain, "draw", True)],
    ids=["version made", "lineage drawn"],
)
def test_a_stop_before_the_record_deletes_the_version_though_it_is_ready(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    drawn: bool,
) -> None:
    draws: list[object] = []
    plain = register.lineage_chain.draw
    monkeypatch.setattr(
        register.lineage_chain,
        "draw",
        lambda *args, **named: draws.append(1) or plain(*args, **named),
    )
    stopping_after(execution, monkeypatch, owner, name)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert execution.versions() == []
    assert "stopped on request" in refused_with(execution)
    assert bool(draws) is drawn
    with pytest.raises(ClientError, match="NoSuchKey"):
        execution.evidence("record.json")


def test_a_stop_after_the_record_keeps_the_version_and_answers_that(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping_after(execution, monkeypatch, register, "write_record")
    execution.send()
    assert deliver(worker) is Fate.DELETE
    (version,) = execution.versions()
    (answer,) = execution.answers()
    assert answer["status"] == "Failed"
    expected = f"stopped after version {version.version} was recorded; it is withdrawn"
    assert answer["FailureReason"] == expected
    assert execution.tags(1)["withdrawn"] == "its pipeline step was answered with Failure"
    assert execution.evidence("record.json")["model"]["version"] == version.version
    with pytest.raises(NotFound):
        execution.environment.admin().model_versions.get_by_alias(execution.model, "challenger")


def test_a_stop_after_the_alias_is_answered_with_success(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that set the alias was lost before it answered."""
    with monkeypatch.context() as lost:
        lost.setattr(worker.services.answers, "succeed", raising_unavailable)
        execution.send()
        assert deliver(worker) is Fate.GIVE_BACK
    execution.state["status"] = "Stopping"
    execution.send()  # a copy, which finds the step stopped
    assert deliver(worker) is Fate.DELETE
    assert deliver(worker) is Fate.DELETE
    execution.check_registered()
    assert execution.step["StepStatus"] == "Stopped"
    assert "withdrawn" not in execution.tags(1)
