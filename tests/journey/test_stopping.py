"""Stopping leaves an execution Stopped, no process behind, and nothing registered; killing leaves
nothing running.
"""

import psutil
import pytest

from tests.journey.conftest import Environment, Worker, wait_for

pytestmark = pytest.mark.environment


def jobs_of(environment: Environment) -> list[str]:
    """Command lines of the job processes that the stand-in runs at this moment."""
    server = next(p for p in psutil.process_iter(["cmdline"]) if _is_server(p, environment))
    found = []
    for child in server.children(recursive=True):
        try:
            found.append(" ".join(child.cmdline()))
        except psutil.NoSuchProcess:
            continue
    return [line for line in found if "steps" in line]


def _is_server(process: psutil.Process, environment: Environment) -> bool:
    words = process.info["cmdline"] or []
    return "pipeline.local.aws" in words and str(environment.state) in words


@pytest.mark.parametrize("step", ["Prepare", "Train"])
def test_a_stopped_step_ends_stopped_with_no_process_left(
    environment: Environment, step: str
) -> None:
    execution = environment.start()
    wait_for(
        lambda: (
            environment.steps(execution).get(step, {}).get("StepStatus") == "Executing"
            and jobs_of(environment)
        )
    )
    environment.client("sagemaker").stop_pipeline_execution(
        PipelineExecutionArn=execution, ClientRequestToken="t" * 32
    )
    wait_for(lambda: environment.status(execution) == "Stopped", seconds=60)
    wait_for(lambda: not jobs_of(environment), seconds=30)
    assert environment.steps(execution)[step]["StepStatus"] == "Stopped"
    assert "Register" not in environment.steps(execution)


def test_an_execution_stopped_while_register_waits_ends_stopped_and_registers_nothing(
    environment: Environment, worker: Worker
) -> None:
    before = [
        v.version for v in environment.workspace.model_versions.list("edgar.models.risk_analyst")
    ]
    worker.process.suspend()
    try:
        execution = environment.start()
        wait_for(
            lambda: (
                environment.steps(execution).get("Register", {}).get("StepStatus") == "Executing"
            ),
            seconds=240,
        )
        environment.client("sagemaker").stop_pipeline_execution(
            PipelineExecutionArn=execution, ClientRequestToken="t" * 32
        )
        assert environment.status(execution) == "Stopping"
    finally:
        worker.process.resume()
    wait_for(lambda: environment.status(execution) == "Stopped", seconds=60)
    assert [
        v.version for v in environment.workspace.model_versions.list("edgar.models.risk_analyst")
    ] == before


def test_a_waiting_register_has_its_reason_and_a_stop_ends_within_a_minute(
    environment: Environment,
) -> None:
    """The model's schema vanishes after Prepare has seen it."""
    sagemaker = environment.client("sagemaker")
    environment.admin.schemas.create("vanishing", "edgar")
    execution = environment.start(ModelName="edgar.vanishing.risk_analyst")

    def note() -> str:
        described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
        return str(described.get("PipelineExecutionDescription", ""))

    wait_for(lambda: "Train" in environment.steps(execution), seconds=240)
    environment.admin.schemas.delete("edgar.vanishing", force=True)
    wait_for(note, seconds=240)
    assert note().startswith("Register waits: ")
    assert "Schema 'edgar.vanishing' does not exist" in note()
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=execution, ClientRequestToken="t" * 32)
    wait_for(lambda: environment.status(execution) == "Stopped", seconds=60)
    assert note() == ""
