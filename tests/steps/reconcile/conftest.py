"""One environment for the session; each test gets its own execution, model and queue."""

import threading
from collections.abc import Iterator

import pytest

from steps.governance import aws
from steps.register.arguments import parse
from steps.register.worker import Fate, Worker
from tests.steps.reconcile.support.reconciler import Reconciler
from tests.steps.register.support import executions, register_environment
from tests.steps.register.support.deliveries import deliver
from tests.steps.register.support.register_environment import RegisterEnvironment


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegisterEnvironment]:
    with register_environment.started(tmp_path_factory.mktemp("reconcile")) as started:
        me = str(started.admin().current_user.me().user_name)
        rights = ("APPLY_TAG", "CREATE_MODEL_VERSION")  # to spoil a model of `register`
        started.change_grant("SCHEMA", "edgar.models", me, "add", *rights)
        yield started


@pytest.fixture(scope="session")
def reconciler(environment: RegisterEnvironment) -> Reconciler:
    return Reconciler.made(environment)


@pytest.fixture
def execution(
    environment: RegisterEnvironment, monkeypatch: pytest.MonkeyPatch
) -> executions.Execution:
    """A new execution whose callback waits; this process has the worker's keys."""
    for name, value in environment.variables().items():
        monkeypatch.setenv(name, value)
    aws.client.cache_clear()
    environment.faults()
    return executions.new_execution(environment)


@pytest.fixture
def worker(execution: executions.Execution) -> Worker:
    return Worker(parse(execution.argv()), threading.Event())


@pytest.fixture
def registered(worker: Worker, execution: executions.Execution) -> executions.Execution:
    """A registered execution that has ended."""
    execution.send()
    assert deliver(worker) is Fate.DELETE
    execution.state["status"] = "Succeeded"
    return execution
