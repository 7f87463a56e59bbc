"""A message that asks to reconcile completes an answered step, or removes what is unfinished."""

import threading
from typing import Any

import pytest
from databricks.sdk.errors import NotFound
from databricks.sdk.service import catalog as uc

from steps.register.arguments import parse
from steps.register.delivery.lease import Lease
from steps.register.package.artifact import Artifact
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support.deliveries import deliver, deliver_until_deleted, failure_reason
from tests.steps.register.support.register_environment import (
    EVIDENCE,
    REGION,
    RegisterEnvironment,
)

pytestmark = pytest.mark.environment


@pytest.fixture(autouse=True)
def an_administrator_who_changes_tags(environment: RegisterEnvironment) -> None:
    """The model belongs to `register`; its administrator needs rights to spoil it."""
    me = str(environment.admin().current_user.me().user_name)
    rights = ("APPLY_TAG", "CREATE_MODEL_VERSION")
    environment.change_grant("SCHEMA", "edgar.models", me, "add", *rights)


@pytest.fixture
def registered(worker: Worker, execution: executions.Execution) -> executions.Execution:
    """A registered execution that has ended."""
    execution.send()
    assert deliver(worker) is Fate.DELETE
    execution.state["status"] = "Succeeded"
    return execution


def reconcile(worker: Worker, execution: executions.Execution) -> Fate:
    execution.send(execution.body(reconcile=True))
    return deliver(worker)


def call(execution: executions.Execution, method: str, path: str, body: Any = None) -> Any:
    return execution.environment.admin().api_client.do(method, path, body=body)


def remove_tag(execution: executions.Execution, key: str) -> None:
    (version,) = execution.versions()
    path = f"/api/2.1/unity-catalog/subentity-tags/registered_model/{execution.model}"
    body = {"changes": {"remove": [key]}}
    call(execution, "PATCH", f"{path}/{version.version}", body)


def remove_alias(execution: executions.Execution) -> None:
    path = f"/api/2.1/unity-catalog/models/{execution.model}/aliases/challenger"
    call(execution, "DELETE", path)


def set_alias(execution: executions.Execution, version: int) -> None:
    execution.environment.admin().registered_models.set_alias(
        execution.model, "challenger", version
    )


def alias_version(execution: executions.Execution) -> int:
    models = execution.environment.admin().model_versions
    return int(models.get_by_alias(execution.model, "challenger").version or 0)


def later_execution(registered: executions.Execution) -> executions.Execution:
    """Another execution that registered the same model."""
    later = executions.new_execution(registered.environment)
    later.state["parameters"]["ModelName"] = registered.model
    later.send()
    assert deliver(Worker(parse(later.argv()), threading.Event())) is Fate.DELETE
    later.state["status"] = "Succeeded"
    return later


def remove_document(execution: executions.Execution, key: str) -> None:
    s3 = execution.environment.client("s3")
    for each in s3.list_object_versions(Bucket=EVIDENCE, Prefix=key)["Versions"]:
        s3.delete_object(Bucket=EVIDENCE, Key=key, VersionId=each["VersionId"])


def first_node(execution: executions.Execution) -> str:
    return str(execution.evidence("record.json")["lineage"]["nodes"][0].removeprefix("job:"))


def repeat_edges(execution: executions.Execution) -> None:
    api = execution.environment.admin().external_lineage
    node = uc.ExternalLineageExternalMetadata(first_node(execution))
    end = uc.ExternalLineageObject(external_metadata=node)
    listed = api.list_external_lineage_relationships(end, uc.LineageDirection.UPSTREAM)
    for edge in [each.external_lineage_info for each in listed]:
        assert edge is not None
        api.create_external_lineage_relationship(
            uc.CreateRequestExternalLineage(edge.source, edge.target)
        )


def remove_node(execution: executions.Execution) -> None:
    execution.environment.admin().external_metadata.delete_external_metadata(first_node(execution))


BROKEN = {
    "tag": lambda execution: remove_tag(execution, "record_sha256"),
    "figure": lambda execution: remove_tag(execution, "eval_loss"),
    "alias": remove_alias,
    "statement": lambda execution: remove_document(
        execution, f"executions/{execution.id}/register/record.dsse.json"
    ),
    "duplicate edge": repeat_edges,
    "node with its edges": remove_node,
}


def test_everything_that_is_missing_is_added_once(
    worker: Worker, registered: executions.Execution
) -> None:
    whole = registered.tags(int(registered.versions()[0].version or 0))
    for spoil in BROKEN.values():
        spoil(registered)
    assert reconcile(worker, registered) is Fate.DELETE
    registered.check_settled()
    assert registered.tags(int(registered.versions()[0].version or 0)) == whole
    assert len(registered.answers()) == 1


def test_a_plain_message_of_an_answered_step_changes_nothing(
    worker: Worker, registered: executions.Execution
) -> None:
    remove_alias(registered)
    registered.send()
    assert deliver(worker) is Fate.DELETE
    with pytest.raises(NotFound):
        alias_version(registered)


def test_a_tag_that_a_person_changed_stays(
    worker: Worker, registered: executions.Execution
) -> None:
    (version,) = registered.versions()
    path = f"/api/2.1/unity-catalog/subentity-tags/registered_model/{registered.model}"
    tag = {"key": "eval_loss", "value": "by hand"}
    call(registered, "PATCH", f"{path}/{version.version}", {"changes": {"add_tags": [tag]}})
    assert reconcile(worker, registered) is Fate.DELETE
    assert registered.tags(int(version.version or 0))["eval_loss"] == "by hand"


def test_an_alias_that_a_person_moved_stays(registered: executions.Execution) -> None:
    (first,) = registered.versions()
    later = later_execution(registered)
    set_alias(registered, int(first.version or 0))
    assert reconcile(Worker(parse(later.argv()), threading.Event()), later) is Fate.DELETE
    assert alias_version(registered) == first.version


def test_a_missing_alias_is_not_set_back_if_a_later_registration_has_it(
    worker: Worker, registered: executions.Execution
) -> None:
    later_execution(registered)
    remove_alias(registered)
    assert reconcile(worker, registered) is Fate.DELETE
    with pytest.raises(NotFound):
        alias_version(registered)


def test_a_step_that_failed_gets_no_alias(worker: Worker, registered: executions.Execution) -> None:
    remove_alias(registered)
    registered.step["StepStatus"] = "Failed"
    assert reconcile(worker, registered) is Fate.DELETE
    with pytest.raises(NotFound):
        alias_version(registered)


def test_no_tag_is_made_from_a_manifest_that_was_not_recorded(
    worker: Worker, registered: executions.Execution, caplog: pytest.LogCaptureFixture
) -> None:
    remove_tag(registered, "eval_loss")
    other = registered.trained.model_copy(update={"mlflow_run_id": "f" * 16})
    key = f"executions/{registered.id}/train/{other.training_job}/manifest.json"
    s3 = registered.environment.client("s3")
    s3.put_object(Bucket=EVIDENCE, Key=key, Body=other.to_bytes())
    assert reconcile(worker, registered) is Fate.DELETE
    assert "eval_loss" not in registered.tags(int(registered.versions()[0].version or 0))
    assert "are not the recorded ones" in caplog.text


def test_what_a_failed_registration_left_is_removed(
    worker: Worker, execution: executions.Execution
) -> None:
    faults = {"method": "POST", "path": "external-lineage$", "times": 99, "status": 400}
    execution.environment.faults(faults)
    execution.send()
    deliver_until_deleted(worker, most=6)
    execution.environment.faults()
    assert failure_reason(execution)
    execution.state["status"] = "Failed"
    assert execution.versions() == []
    pinned = Artifact.from_bytes(execution.evidence_bytes("artifact.json"))
    execution.environment.admin().api_client.do(
        "POST",
        "/api/2.0/mlflow/unity-catalog/model-versions/create",
        body={"name": execution.model, "source": pinned.source},
    )
    assert len(execution.versions()) == 1
    listed = execution.environment.admin().external_metadata.list_external_metadata
    mine = {"execution_id": execution.id}
    assert [each for each in listed() if (each.properties or {}).items() >= mine.items()]
    assert reconcile(worker, execution) is Fate.DELETE
    assert execution.versions() == []
    assert not [each for each in listed() if (each.properties or {}).items() >= mine.items()]


def test_nothing_is_removed_of_an_execution_that_runs_again(
    worker: Worker, registered: executions.Execution
) -> None:
    registered.state["status"] = "Executing"
    remove_alias(registered)
    assert reconcile(worker, registered) is Fate.DELETE
    with pytest.raises(NotFound):
        alias_version(registered)


def test_another_workers_lease_gives_the_message_back(
    worker: Worker, registered: executions.Execution
) -> None:
    remove_tag(registered, "record_sha256")
    folder = f"s3://{EVIDENCE}/executions/{registered.id}/register"
    with Lease(REGION, folder=folder, seconds=30):
        assert reconcile(worker, registered) is Fate.GIVE_BACK
    assert "record_sha256" not in registered.tags(int(registered.versions()[0].version or 0))


def test_a_version_that_is_gone_is_not_made_again_and_its_lineage_is_not_drawn(
    worker: Worker, registered: executions.Execution, caplog: pytest.LogCaptureFixture
) -> None:
    (version,) = registered.versions()
    path = f"/api/2.1/unity-catalog/models/{registered.model}/versions/{version.version}"
    call(registered, "DELETE", path)
    remove_node(registered)
    assert reconcile(worker, registered) is Fate.DELETE
    assert registered.versions() == []
    assert (
        f"version {version.version} of {registered.model} is not what was recorded" in caplog.text
    )
    with pytest.raises(NotFound):
        registered.environment.admin().external_metadata.get_external_metadata(
            first_node(registered)
        )
