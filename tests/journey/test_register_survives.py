"""One execution waits for Register while the worker's disk is full, while an answer of S3 is cut
short, while the worker is killed, and while its message comes three times: the reason is shown, and
in the end there are one version, one chain and one answer.

The tests continue each other; each leaves the execution waiting for the next one.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.journey.conftest import REPOSITORY, Environment, Worker, wait_for
from tests.steps.troubled_proxy import KINDS, Proxy, before

pytestmark = pytest.mark.environment

MODEL = "edgar.models.survivor"
ARCHIVE = "/model.tar.gz"


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


@pytest.fixture(scope="module")
def execution(environment: Environment, worker: Worker) -> str:
    """An execution whose callback waits; no worker runs."""
    worker.kill()
    return _waiting_for_register(environment)


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    """Let this worker run, and kill it."""
    worker.start()
    try:
        yield
    finally:
        worker.kill()


def shown_reason(environment: Environment, execution: str, words: str) -> str:
    """Wait until the execution's description has these words; return it, as Studio shows it."""

    def description() -> str:
        answer = environment.client("sagemaker").describe_pipeline_execution(
            PipelineExecutionArn=execution
        )
        found = str(answer.get("PipelineExecutionDescription", ""))
        return found if words in found else ""

    return str(wait_for(description, seconds=120))


def test_a_full_disk_of_the_worker_is_shown(
    environment: Environment, worker: Worker, execution: str
) -> None:
    argv = [worker.argv[0], str(Path(__file__).with_name("full_disk_worker.py")), *worker.argv[3:]]
    variables = worker.variables | {"PYTHONPATH": str(REPOSITORY)}
    with running(replace(worker, argv=argv, variables=variables)):
        shown = shown_reason(environment, execution, "disk is full")
    assert "Register waits: this job's disk is full" in shown
    assert "give the register worker a larger disk" in shown
    assert environment.status(execution) == "Executing"


class CutArchives(Proxy):
    """Sends half of each archive."""

    def note(self, call: str) -> Any:
        return KINDS["truncated"] if call.endswith(ARCHIVE) else super().note(call)


def test_an_archive_that_is_cut_on_its_way_is_called_so_and_not_altered(
    environment: Environment, worker: Worker, execution: str
) -> None:
    with before(environment.scientist["AWS_ENDPOINT_URL"], CutArchives()) as proxy:
        variables = worker.variables | {"AWS_ENDPOINT_URL": proxy.host}
        with running(replace(worker, variables=variables)):
            shown = shown_reason(environment, execution, ARCHIVE)
    assert "Register waits: AWS gave no answer: read s3://" in shown
    assert "IncompleteReadError" in shown
    assert environment.status(execution) == "Executing"


def test_kills_and_duplicates_leave_one_version_one_chain_one_answer(
    environment: Environment, worker: Worker, execution: str
) -> None:
    try:
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
