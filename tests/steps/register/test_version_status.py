"""A version that is neither READY nor PENDING_REGISTRATION is somebody's to look at: Register names it and deletes nothing."""

import json
import sqlite3
import threading

import pytest

from steps.register.arguments import parse
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support import register_environment as beds
from tests.steps.register.test_worker import deliver, refused_with

pytestmark = pytest.mark.environment


@pytest.fixture
def worker(worker_environment: beds.Bed, execution: executions.Execution) -> Worker:
    return Worker(parse(execution.argv()), threading.Event())


def set_status(execution: executions.Execution, status: str) -> None:
    """What the service itself would do: the workspace's own store is changed."""
    store = sqlite3.connect(execution.bed.state / "workspace" / "workspace.sqlite")
    with store:
        pattern = f"{execution.model}/%"
        ((key, document),) = store.execute(
            "SELECT key, document FROM documents WHERE kind = 'MODEL_VERSION' AND key LIKE ?",
            (pattern,),
        ).fetchall()
        changed = json.dumps(json.loads(document) | {"status": status})
        store.execute(
            "UPDATE documents SET document = ? WHERE kind = 'MODEL_VERSION' AND key = ?",
            (changed, key),
        )
    store.close()


def test_a_failed_registration_is_named_and_never_deleted(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.bed.faults(
        {"method": "POST", "path": "model-versions/finalize$", "times": 3, "status": 503}
    )
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    set_status(execution, "FAILED_REGISTRATION")
    assert deliver(worker) is Fate.DELETE
    reason = refused_with(execution)
    assert (
        f"version 3 of {execution.model} was made from this artifact and cannot be used" in reason
    )
    assert "got       status FAILED_REGISTRATION" in reason
    (version,) = execution.versions()
    assert str(version.status).endswith("FAILED_REGISTRATION")


def test_a_stop_leaves_it_too(worker: Worker, execution: executions.Execution) -> None:
    execution.bed.faults(
        {"method": "POST", "path": "model-versions/finalize$", "times": 3, "status": 503}
    )
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    set_status(execution, "FAILED_REGISTRATION")
    execution.state["status"] = "Stopping"
    assert deliver(worker) is Fate.DELETE
    assert "stopped on request" in refused_with(execution)
    assert len(execution.versions()) == 1
