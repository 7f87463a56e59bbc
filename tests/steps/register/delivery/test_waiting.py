"""While a registration waits, the execution's description holds the reason."""

import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError
from databricks.sdk import errors as databricks

from steps.governance.errors import NotFound, Unavailable
from steps.register.arguments import parse
from steps.register.delivery.waiting import MARK, Waiting
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions, register_environment
from tests.steps.register.support.deliveries import deliver
from tests.steps.register.support.register_environment import RegisterEnvironment
from tests.steps.register.support.sagemaker_stub import Refusal

pytestmark = pytest.mark.environment


def refuse_versions(execution: executions.Execution, *, deliveries: int = 1) -> None:
    """Refuse to make a version during so many deliveries; each tries three times."""
    execution.environment.faults(
        {"method": "POST", "path": "model-versions/create$", "times": 3 * deliveries, "status": 503}
    )


def test_the_description_names_what_is_waited_for_until_the_registration_continues(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steps.register.worker._BACKOFF_SECONDS", 2)
    execution.state["description"] = "the Tuesday run"
    refuse_versions(execution)
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    note = execution.state["description"]
    assert note.startswith(f"the Tuesday run · {MARK}no version of {execution.model} became READY")
    assert note.endswith(
        f"; next attempt in 2 s (attempt 2 of {register_environment.MAX_RECEIVES})"
    )
    assert deliver(worker) is Fate.DELETE
    assert execution.state["description"] == "the Tuesday run"
    execution.check_settled()


def test_each_attempt_replaces_the_note_of_the_one_before(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_versions(execution, deliveries=2)
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    monkeypatch.setattr("steps.register.worker._BACKOFF_SECONDS", 2)
    assert deliver(worker, attempt=2) is Fate.GIVE_BACK
    assert execution.state["description"].count(MARK) == 1
    assert execution.state["description"].endswith(
        f"next attempt in 4 s (attempt 3 of {register_environment.MAX_RECEIVES})"
    )


def test_a_registration_that_does_not_wait_writes_nothing(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert "descriptions" not in execution.state


def test_a_missing_schema_is_waited_for_and_the_model_is_registered_once_it_exists(
    worker: Worker, execution: executions.Execution
) -> None:
    schema = f"edgar.{register_environment.random_name()}"
    execution.state["parameters"]["ModelName"] = name = f"{schema}.risk_analyst"
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    assert f"Schema '{schema}' does not exist" in execution.state["description"]
    assert execution.answers() == []
    execution.environment.admin().schemas.create(schema.split(".")[1], "edgar")
    rights = ("USE_SCHEMA", "CREATE_MODEL", "CREATE_MODEL_VERSION", "EXECUTE")
    execution.environment.change_grant(
        "SCHEMA", schema, execution.environment.principal, "add", *rights
    )
    assert deliver(worker) is Fate.DELETE
    execution.model = name
    execution.check_settled()


def test_a_schema_that_is_never_created_fails_the_step_on_the_last_receive(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.state["parameters"]["ModelName"] = "edgar.nowhere.risk_analyst"
    execution.send()
    assert deliver(worker, attempt=register_environment.MAX_RECEIVES) is Fate.LEAVE
    (answer,) = execution.answers()
    assert answer["status"] == "Failed"
    assert "Schema 'edgar.nowhere' does not exist" in answer["FailureReason"]


def test_a_note_that_is_refused_is_logged_and_fails_nothing(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refused(_: dict[str, Any]) -> None:
        raise Refusal("AccessDeniedException", "no")

    monkeypatch.setattr(
        execution.environment.stub, "UpdatePipelineExecution", refused, raising=False
    )
    refuse_versions(execution)
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    assert (
        "could not note why Register waits: this role was refused: change the description"
        in caplog.text
    )
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()


def test_a_worker_that_ends_notes_that_the_message_waits_for_another_worker(
    worker_environment: RegisterEnvironment, execution: executions.Execution
) -> None:
    stop = threading.Event()
    worker = Worker(parse(execution.argv()), stop)
    stop.set()
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    assert "next attempt as soon as a worker takes it" in execution.state["description"]


def test_an_unforeseen_error_is_named_by_its_class_only(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> None:
        raise ValueError("clientSecret=dose-canary")

    monkeypatch.setattr(worker.services.facts, "read", broken)
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    assert "an unforeseen ValueError" in execution.state["description"]
    assert "canary" not in execution.state["description"]


@pytest.mark.parametrize("own", ["", "x" * 200, "x" * 2500, "x" * 3072])
def test_a_note_is_one_line_within_the_limit_and_keeps_the_text_before_it(
    worker_environment: RegisterEnvironment, execution: executions.Execution, own: str
) -> None:
    execution.state["description"] = own
    waiting = Waiting(register_environment.REGION)
    waiting.note(execution.arn, "no\n  answer " + "y" * 5000, seconds=512, attempt=10, most=10)
    text = execution.state["description"]
    assert text.startswith(own)
    assert len(text) <= 3072
    if len(own) < 3000:
        assert f"{MARK}no · answer yyy" in text
        assert text.endswith("…; next attempt in 512 s (attempt 10 of 10)")
    waiting.clear(execution.arn)
    assert execution.state["description"] == own


@pytest.mark.parametrize(
    ("cause", "fate"),
    [
        (databricks.NotFound("Schema 'edgar.models' does not exist."), Fate.GIVE_BACK),
        (ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject"), Fate.DELETE),
        (None, Fate.DELETE),
    ],
)
def test_a_missing_object_of_the_workspace_is_waited_for_and_one_of_aws_is_not(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    cause: Exception | None,
    fate: Fate,
) -> None:
    """A person may create a schema again. Missing evidence will not appear later."""

    def absent(_: str) -> None:
        raise NotFound("nothing there") from cause

    monkeypatch.setattr(worker.services.facts, "read", absent)
    execution.send()
    assert deliver(worker) is fate
    assert len(execution.answers()) == (fate is Fate.DELETE)


def test_a_description_that_cannot_be_read_does_not_fail_the_registration(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_: str) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(worker.services.waiting, "_description", silent)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()
