"""mlflow asks the workspace whether a version's files go through its Files API."""

import json
from typing import Any

import pytest

from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support.deliveries import deliver

pytestmark = pytest.mark.environment

_QUESTION = "is-databricks-sdk-models-artifact-repository-enabled"
_FIELD = "is_databricks_sdk_models_artifact_repository_enabled"


@pytest.mark.parametrize("by_files_api", [True, False])
def test_a_version_is_registered_either_way_and_its_files_are_the_same(
    worker: Worker, execution: executions.Execution, by_files_api: bool
) -> None:
    answer = {"path": _QUESTION, "status": 200, "times": 99, "answer": {_FIELD: by_files_api}}
    execution.environment.faults(answer)
    before = len(audit(execution))
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert execution.environment.faults_left() < 99, "mlflow asked"
    execution.environment.faults()
    execution.check_settled()
    actions = {line["action"] for line in audit(execution)[before:]}
    assert ("filesPut" in actions) is by_files_api
    assert ("generateTemporaryModelVersionCredentials" in actions) is not by_files_api


def audit(execution: executions.Execution) -> list[dict[str, Any]]:
    """What the workspace was asked, oldest first."""
    file = execution.environment.state / "workspace" / "audit.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]
