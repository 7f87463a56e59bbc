"""A word from Studio that the registry refuses ends the step at once, before a version is made."""

import threading
import time

import pytest

from steps.register.arguments import parse
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support.register_environment import RegisterEnvironment

pytestmark = pytest.mark.environment


def handled(execution: executions.Execution) -> Fate:
    """What becomes of the one message of this execution."""
    worker, deadline = Worker(parse(execution.argv()), threading.Event()), time.monotonic() + 10
    execution.send()
    while (delivery := worker.queue.receive()) is None:
        assert time.monotonic() < deadline, "no message came"
    return worker.handle(delivery)


@pytest.mark.parametrize(
    ("parameter", "value", "reason"),
    [
        ("ModelAlias", "latest", "a model alias was refused before it was used"),
        ("ModelAlias", "LATEST", "a model alias was refused before it was used"),
        ("ModelAlias", "v12", "neither 'latest' nor 'v<number>' · got 'v12'"),
        ("ModelAlias", "has space", "a model alias was refused before it was used"),
        ("ModelName", "edgar.models", "a Unity Catalog name was refused before it was used"),
        (
            "ModelName",
            "samples.models.x",
            "a Unity Catalog name was refused before anything was written to it",
        ),
        ("MaxEvalLoss", "high", "the parameter MaxEvalLoss cannot be used"),
    ],
)
def test_a_parameter_that_the_registry_refuses_fails_the_step_before_anything_is_made(
    worker_environment: RegisterEnvironment,
    execution: executions.Execution,
    parameter: str,
    value: str,
    reason: str,
) -> None:
    execution.state["parameters"] |= {parameter: value}
    assert handled(execution) is Fate.DELETE
    (answer,) = execution.answers()
    assert answer["status"] == "Failed"
    assert reason in " ".join(answer["FailureReason"].split())
    assert execution.versions() == []
    assert execution.waiting() == 0
    with pytest.raises(execution.environment.client("s3").exceptions.NoSuchKey):
        execution.evidence("artifact.json")
