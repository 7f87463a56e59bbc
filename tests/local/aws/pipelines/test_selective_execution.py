"""Selective execution as SageMaker documents it: what runs, what is reused, what is refused."""

import uuid
from typing import Any

import pytest

from tests.local.aws.support.refusals import refused
from tests.local.aws.support.server import PIPELINE, Server

pytestmark = pytest.mark.environment


def _start(server: Server, steps: list[str], source: str | None = None, **values: str) -> str:
    arn: str = server.client("sagemaker", "scientist").start_pipeline_execution(
        **_request(steps, source, **values)
    )["PipelineExecutionArn"]
    return arn


def _request(steps: list[str], source: str | None = None, **values: str) -> dict[str, Any]:
    config: dict[str, Any] = {"SelectedSteps": [{"StepName": name} for name in steps]}
    if source:
        config["SourcePipelineExecutionArn"] = source
    return {
        "PipelineName": PIPELINE,
        "ClientRequestToken": uuid.uuid4().hex,
        "PipelineParameters": [{"Name": key, "Value": value} for key, value in values.items()],
        "SelectiveExecutionConfig": config,
    }


@pytest.fixture(scope="module")
def source(server: Server) -> str:
    """An execution that the gate has rejected."""
    arn = server.start_execution(MaxEvalLoss="0.01")
    assert server.finished(arn) == "Failed"
    return arn


def test_the_selected_steps_run_and_what_they_need_is_reused(server: Server, source: str) -> None:
    arn = _start(server, ["Train", "Gate", "Register"], source)
    (message,) = server.messages(arn)
    server.answer(message["token"])
    assert server.finished(arn) == "Succeeded"
    steps, before = server.steps(arn), server.steps(source)
    reused = {"SelectiveExecutionResult": {"SourcePipelineExecutionArn": source}}
    assert steps["Prepare"] == before["Prepare"] | reused
    assert steps["Train"]["Metadata"] != before["Train"]["Metadata"]
    assert all("SelectiveExecutionResult" not in steps[name] for name in steps.keys() - {"Prepare"})


def test_steps_below_the_selected_ones_do_not_run(server: Server) -> None:
    arn = _start(server, ["Prepare"])
    assert server.finished(arn) == "Succeeded"
    assert list(server.steps(arn)) == ["Prepare"]


def test_a_gate_that_was_passed_by_nobody_lets_no_step_of_its_branch_run(
    server: Server, source: str
) -> None:
    arn = _start(server, ["Register"], source, MaxEvalLoss="1e300")
    assert server.finished(arn) == "Succeeded"
    assert "Register" not in server.steps(arn)


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        (["Nothing"], "has no steps"),
        (["Prepare", "Gate"], "'Train'] are between selected steps"),
        (["Train", "Register"], "'Gate'] are between selected steps"),
        (["Register", "Rejected"], "not connected"),
    ],
)
def test_steps_that_do_not_belong_together_are_refused(
    server: Server, source: str, steps: list[str], named: str
) -> None:
    start = server.client("sagemaker", "scientist").start_pipeline_execution
    assert named in refused(start, "ValidationException", **_request(steps, source))


def test_a_source_that_cannot_give_what_is_needed_is_refused(server: Server, source: str) -> None:
    start = server.client("sagemaker", "scientist").start_pipeline_execution
    without = refused(start, "ValidationException", **_request(["Train", "Gate"]))
    assert "null. The selected steps ['Gate', 'Train'] have dependencies on ['Prepare']" in without
    refused(start, "ValidationException", **_request(["Train"], source[:-4] + "none"))
    crashed = server.start_execution(Prepare="crash")
    running = server.start_execution(Prepare="sleep")
    assert "is Executing" in refused(start, "Validation", **_request(["Train"], running))
    server.client("sagemaker", "scientist").stop_pipeline_execution(
        PipelineExecutionArn=running, ClientRequestToken=uuid.uuid4().hex
    )
    server.finished(crashed)
    assert "did not succeed" in refused(start, "Validation", **_request(["Train"], crashed))
    server.finished(running)
    assert "is Stopped" in refused(start, "Validation", **_request(["Train"], running))


def test_a_token_starts_one_selection(server: Server, source: str) -> None:
    request = _request(["Train"], source)
    start = server.client("sagemaker", "scientist").start_pipeline_execution
    first, second = (start(**request)["PipelineExecutionArn"] for _ in range(2))
    assert first == second
    request["SelectiveExecutionConfig"] = {"SelectedSteps": [{"StepName": "Prepare"}]}
    refused(start, "ConflictException", **request)
