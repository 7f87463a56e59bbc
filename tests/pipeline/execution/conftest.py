"""A deployed pipeline to start executions of."""

from typing import Any

import pytest

from pipeline.configuration import config
from pipeline.deployment import deploy
from pipeline.execution import start
from tests.pipeline.execution import steps


@pytest.fixture
def deployed(
    service: Any,
    configured: config.Config,
    client: Any,
    compiled: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """The service with the deployed pipeline. Its next execution succeeds; following waits 1 ms."""
    deploy.deploy(configured, client, compiled)
    service.calls.clear()
    service.jobs[steps.JOB.rsplit("/", 1)[-1]] = {
        "TrainingJobName": "x",
        "FinalMetricDataList": steps.LOSSES,
    }
    service.moments = [
        {"status": "Executing", "steps": []},
        {"status": "Executing", "steps": [steps.PREPARED, steps.TRAINING]},
        {
            "status": "Succeeded",
            "steps": [steps.PREPARED, steps.TRAINED, steps.PASSED, steps.REGISTERED],
        },
    ]
    monkeypatch.setattr(start, "_SHORTEST_SECONDS", 0.001)
    monkeypatch.setattr(start, "_LONGEST_SECONDS", 0.001)
    return service
