"""SageMaker's answers that are garbage, lack a field, are refused once, or come late."""

import copy
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from steps.governance.errors import GovernanceError, Unavailable
from steps.register.delivery import callback_answer
from steps.register.delivery.lease import Lease
from steps.register.delivery.message import Message
from steps.register.run_record import require_described
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support.deliveries import (
    deliver,
    deliver_for_the_last_time,
    deliver_until_deleted,
    failure_reason,
)

pytestmark = pytest.mark.environment

SUCCESS, FAILURE = "SendPipelineExecutionStepSuccess", "SendPipelineExecutionStepFailure"
READS = [
    "DescribePipelineExecution",
    "ListPipelineExecutionSteps",
    "ListPipelineParametersForExecution",
    "DescribePipelineDefinitionForExecution",
    "DescribeTrainingJob",
]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback_answer, "_READ_BACK_SECONDS", (0.0, 0.01))


def test_a_garbage_answer_to_success_keeps_the_message_until_the_step_has_ended(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.environment.stub.garble = [SUCCESS]
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    assert execution.answers() == []
    assert "was not taken" in execution.state["description"]
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()


def test_a_garbage_answer_to_failure_keeps_the_message_until_the_step_has_ended(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.state["training_job"]["TrainingJobStatus"] = "Failed"
    execution.environment.stub.garble = [FAILURE]
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    assert execution.step["StepStatus"] != "Failed"
    assert deliver(worker) is Fate.DELETE
    assert "state of the training job" in failure_reason(execution)


def test_a_step_that_ends_some_seconds_after_its_answer_is_waited_for(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, looks = worker.services.truth.steps, []

    def late(arn: str) -> Any:
        found = plain(arn)
        if execution.step["StepStatus"] != "Succeeded":
            return found
        looks.append(1)
        if len(looks) > 2:
            return found
        listed = copy.deepcopy(found)
        for step in listed:
            if "Callback" in step.get("Metadata", {}):
                step["StepStatus"] = "Executing"
        return listed

    monkeypatch.setattr(callback_answer, "_READ_BACK_SECONDS", (0.0, 0.01, 0.01))
    monkeypatch.setattr(worker.services.truth, "steps", late)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert len(looks) == 3
    execution.check_settled()


@pytest.mark.parametrize("actions", [READS[:2], READS[2:]], ids=["message", "facts"])
def test_a_garbage_answer_to_each_read_is_typed_and_asked_again(
    worker: Worker,
    execution: executions.Execution,
    actions: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    execution.environment.stub.garble = list(actions)
    execution.send()
    assert deliver_until_deleted(worker, most=4) > 1
    assert execution.environment.stub.garble == []
    assert "AWS answered with something else" in caplog.text
    assert "Traceback" not in caplog.text
    execution.check_settled()


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key of a document, at any depth."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in pairs:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: object) -> Any:
    """A copy of the document in which one place has another value, or is missing for None."""
    copied = found = copy.deepcopy(document)
    for key in path[:-1]:
        found = found[key]
    if value is None:
        del found[path[-1]]
    else:
        found[path[-1]] = value
    return copied


def test_no_field_that_is_missing_or_of_another_type_is_an_untyped_error(
    worker: Worker, execution: executions.Execution
) -> None:
    """The fields come from the answers themselves; most of them are read."""
    good, typed = copy.deepcopy(execution.state), 0
    message = Message(execution.token, execution.arn, stopping=False)
    parts = ("steps", "training_job", "prepare_job")
    all_places = [(part, path) for part in parts for path in places(good[part])]
    for (part, path), value in product(all_places, (None, 7, [7])):
        state = good | {part: changed(good[part], path, value)}
        execution.environment.stub.executions[execution.arn] = state
        try:
            worker.services.truth.verify(message)
            require_described(worker.services.facts.read(execution.arn))
        except GovernanceError:
            typed += 1
    execution.environment.stub.executions[execution.arn] = good
    assert typed >= 60


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFound"])
def test_one_refusal_that_may_be_propagation_is_tried_again(
    worker: Worker, execution: executions.Execution, code: str
) -> None:
    """Of each call one: two reads, and the answer itself."""
    refused = ["DescribePipelineDefinitionForExecution", "DescribeTrainingJob", SUCCESS]
    execution.environment.stub.refuse = [(action, code) for action in refused]
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert execution.environment.stub.refuse == []
    execution.check_settled()


def test_a_refusal_that_lasts_fails_the_step_within_the_same_delivery(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.environment.stub.refuse = [("DescribeTrainingJob", "AccessDeniedException")] * 2
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert "this role was refused: describe training job" in failure_reason(execution)
    assert execution.environment.stub.refuse == []


@pytest.fixture
def unreleased(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer comes to the release of a lease."""
    plain = Lease._append

    def refused(lease: Lease, number: int, *, held: bool) -> bool:
        if not held:
            raise Unavailable("no answer: a test")
        return plain(lease, number, held=held)

    monkeypatch.setattr(Lease, "_append", refused)


@pytest.mark.usefixtures("unreleased")
def test_a_lease_that_is_not_released_after_success_is_no_failure(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.send()
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()


@pytest.mark.usefixtures("unreleased")
def test_a_lease_that_is_not_released_does_not_hide_the_failure_or_its_end(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.state["training_job"]["TrainingJobStatus"] = "Failed"
    execution.send()
    assert deliver_for_the_last_time(worker) is Fate.DELETE
    assert "state of the training job" in failure_reason(execution)
