"""Fixtures for tests of the register worker.

One environment serves the whole session, since starting it takes seconds. Each test gets a new
execution with its own model and queue.
"""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from steps.governance import aws
from steps.governance.unity_catalog.identity import Workspace, connect
from steps.governance.unity_catalog.retrying import Clock, Policy
from steps.register.arguments import parse
from steps.register.worker import Worker
from tests.steps.register.support import executions, register_environment, tiny_model
from tests.steps.register.support.register_environment import RegisterEnvironment


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegisterEnvironment]:
    with register_environment.started(tmp_path_factory.mktemp("register")) as started:
        yield started


@pytest.fixture
def worker_environment(
    environment: RegisterEnvironment, monkeypatch: pytest.MonkeyPatch
) -> RegisterEnvironment:
    """Give this process the worker's keys and endpoints, and do not wait between attempts."""
    for name, value in environment.variables().items():
        monkeypatch.setenv(name, value)
    aws.client.cache_clear()

    def connect_without_pauses(**settings: Any) -> Workspace:
        return connect(**settings | {"policy": policy_without_pauses()})

    monkeypatch.setattr("steps.register.services.connect", connect_without_pauses)
    monkeypatch.setattr("steps.register.worker._BACKOFF_SECONDS", 0)
    monkeypatch.setattr("steps.register.delivery.propagation.PAUSE_SECONDS", (0, 0, 0))
    return environment


def policy_without_pauses() -> Policy:
    """A budget of 4 s for each call, on a clock that only pauses move, and that does not wait."""
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    return Policy(4.0, Clock(monotonic=lambda: passed[0], sleep=sleep))


@pytest.fixture
def execution(environment: RegisterEnvironment) -> executions.Execution:
    """A new execution whose callback waits."""
    environment.faults()
    return executions.new_execution(environment)


@pytest.fixture
def worker(worker_environment: RegisterEnvironment, execution: executions.Execution) -> Worker:
    """A worker in this process, on the execution's own queue."""
    return Worker(parse(execution.argv()), threading.Event())


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a tiny base model, by name."""
    return tiny_model.base_model(tmp_path_factory.mktemp("base") / "model")
