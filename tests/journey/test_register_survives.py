"""The register worker is killed while it works and its message comes three times: one version, one
chain, one answer.
"""

import json
import time

import pytest

from tests.journey.conftest import Environment, Worker, wait_for

pytestmark = pytest.mark.environment

MODEL = "edgar.models.survivor"


def message_of(environment: Environment, execution: str) -> str:
    """The callback's message, as the queue carries it; root may read the token."""
    sagemaker = environment.client("sagemaker", environment.root)
    steps = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=execution)[
        "PipelineExecutionSteps"
    ]
    token = next(
        step["Metadata"]["Callback"]["CallbackToken"]
        for step in steps
        if step["StepName"] == "Register"
    )
    return json.dumps(
        {"token": token, "pipelineExecutionArn": execution, "arguments": {}, "status": "Executing"}
    )


def test_kills_and_duplicates_leave_one_version_one_chain_one_answer(
    environment: Environment, worker: Worker
) -> None:
    worker.kill()
    try:
        execution = _waiting_for_register(environment)
        for seconds in (3.0, 4.5):  # while it starts, and within or after the first effects
            worker.start()
            time.sleep(seconds)
            worker.kill()
    finally:
        worker.start()
    wait_for(lambda: environment.status(execution) != "Executing", seconds=240)
    assert environment.status(execution) == "Succeeded"
    wait_for(lambda: _empty(environment), seconds=200)  # the duplicates are worked off too
    versions = list(environment.admin.model_versions.list(MODEL))
    assert [(version.version, str(version.status)) for version in versions] == [
        (1, "ModelVersionInfoStatus.READY")
    ]
    training, curated, _, raw = environment.chain(MODEL, "1")
    assert len(training) == 1
    assert (curated, raw) == ({"edgar.curated.risk_factor_examples"}, {"edgar.raw.filings"})


def _waiting_for_register(environment: Environment) -> str:
    """An execution whose callback waits, with its message in the queue three times."""
    execution = environment.start(ModelName=MODEL)
    wait_for(
        lambda: environment.steps(execution).get("Register", {}).get("StepStatus") == "Executing",
        seconds=240,
    )
    sqs = environment.client("sqs", environment.role("pipeline"))
    body = message_of(environment, execution)
    for _ in range(2):
        sqs.send_message(QueueUrl=environment.scientist["REGISTER_QUEUE_URL"], MessageBody=body)
    return execution


def _empty(environment: Environment) -> bool:
    attributes = environment.client("sqs", environment.root).get_queue_attributes(
        QueueUrl=environment.scientist["REGISTER_QUEUE_URL"], AttributeNames=["All"]
    )["Attributes"]
    return (
        attributes["ApproximateNumberOfMessages"]
        == "0"
        == attributes["ApproximateNumberOfMessagesNotVisible"]
    )
