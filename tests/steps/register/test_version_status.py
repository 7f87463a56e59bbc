"""Register names a version that is neither READY nor PENDING_REGISTRATION, and never deletes it."""

import json
import sqlite3

import pytest

from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support.deliveries import deliver, refused_with

pytestmark = pytest.mark.environment


def set_status(execution: executions.Execution, status: str) -> None:
    """Change the status in the workspace's own store, as the service would."""
    store = sqlite3.connect(execution.environment.state / "workspace" / "workspace.sqlite")
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
    execution.environment.faults(
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


def test_a_stop_does_not_delete_it(worker: Worker, execution: executions.Execution) -> None:
    execution.environment.faults(
        {"method": "POST", "path": "model-versions/finalize$", "times": 3, "status": 503}
    )
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    set_status(execution, "FAILED_REGISTRATION")
    execution.state["status"] = "Stopping"
    assert deliver(worker) is Fate.DELETE
    assert "stopped on request" in refused_with(execution)
    assert len(execution.versions()) == 1
