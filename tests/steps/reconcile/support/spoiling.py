"""What makes two services disagree about one registered execution."""

import json
from typing import Any

from databricks.sdk.service import catalog as uc

from tests.steps.register.support.executions import Execution
from tests.steps.register.support.register_environment import EVIDENCE


def call(execution: Execution, method: str, path: str, body: Any = None) -> Any:
    return execution.environment.admin().api_client.do(method, path, body=body)


def change_tags(execution: Execution, changes: dict[str, Any]) -> None:
    path = f"/api/2.1/unity-catalog/subentity-tags/registered_model/{execution.model}"
    number = execution.versions()[0].version
    call(execution, "PATCH", f"{path}/{number}", {"changes": changes})


def remove_tag(execution: Execution) -> None:
    change_tags(execution, {"remove": ["ledger_entry", "eval_loss"]})


def change_tag(execution: Execution) -> None:
    change_tags(execution, {"add_tags": [{"key": "record_sha256", "value": "by hand"}]})


def remove_alias(execution: Execution) -> None:
    path = f"/api/2.1/unity-catalog/models/{execution.model}/aliases/challenger"
    call(execution, "DELETE", path)


def remove_document(execution: Execution, key: str) -> None:
    s3 = execution.environment.client("s3")
    for each in s3.list_object_versions(Bucket=EVIDENCE, Prefix=key)["Versions"]:
        s3.delete_object(Bucket=EVIDENCE, Key=key, VersionId=each["VersionId"])


def remove_statement(execution: Execution) -> None:
    remove_document(execution, f"executions/{execution.id}/register/record.dsse.json")


def remove_last_entry(execution: Execution) -> None:
    s3 = execution.environment.client("s3")
    listed = s3.list_objects_v2(Bucket=EVIDENCE, Prefix="ledger/")["Contents"]
    remove_document(execution, max(each["Key"] for each in listed))
    change_tags(execution, {"remove": ["ledger_entry"]})


def remove_manifest(execution: Execution) -> None:
    remove_document(execution, f"executions/{execution.id}/prepare/manifest.json")


def remove_record(execution: Execution) -> None:
    remove_document(execution, f"executions/{execution.id}/register/record.json")


def remove_version(execution: Execution) -> None:
    number = execution.versions()[0].version
    call(execution, "DELETE", f"/api/2.1/unity-catalog/models/{execution.model}/versions/{number}")


def add_version(execution: Execution) -> None:
    """An unfinished version of the same artifact, as a worker that died leaves it."""
    (ready,) = execution.versions()
    body = {
        "name": execution.model,
        "source": str(ready.source),
        "tags": [{"key": "execution_arn", "value": execution.arn}],
    }
    call(execution, "POST", "/api/2.0/mlflow/unity-catalog/model-versions/create", body)


def nodes(execution: Execution) -> list[str]:
    labels = execution.evidence("record.json")["lineage"]["nodes"]
    return [str(label).removeprefix("job:") for label in labels]


def edges(execution: Execution, direction: uc.LineageDirection) -> list[Any]:
    api = execution.environment.admin().external_lineage
    node = uc.ExternalLineageExternalMetadata(nodes(execution)[0])
    end = uc.ExternalLineageObject(external_metadata=node)
    listed = api.list_external_lineage_relationships(end, direction)
    return [each.external_lineage_info for each in listed]


def repeat_edge(execution: Execution) -> None:
    api = execution.environment.admin().external_lineage
    for edge in edges(execution, uc.LineageDirection.UPSTREAM):
        api.create_external_lineage_relationship(
            uc.CreateRequestExternalLineage(edge.source, edge.target)
        )


def remove_edge(execution: Execution) -> None:
    api = execution.environment.admin().external_lineage
    for edge in edges(execution, uc.LineageDirection.DOWNSTREAM):
        api.delete_external_lineage_relationship(
            uc.DeleteRequestExternalLineage(edge.source, edge.target)
        )


def remove_node(execution: Execution) -> None:
    execution.environment.admin().external_metadata.delete_external_metadata(nodes(execution)[0])


def add_node(execution: Execution) -> None:
    """A node of an earlier attempt of this execution."""
    api = execution.environment.admin().external_metadata
    node = uc.ExternalMetadata(
        name="ft_" + execution.id.encode().hex(),
        system_type=uc.SystemType.OTHER,
        entity_type="SageMaker training job",
        properties={"execution_id": execution.id},
    )
    api.create_external_metadata(node)
    node.owner = execution.environment.principal  # the worker made it
    api.update_external_metadata(node.name, node, "owner")


def run_on(execution: Execution) -> None:
    execution.state["training_job"]["TrainingJobStatus"] = "InProgress"


def leave_dead_letter(execution: Execution) -> None:
    execution.environment.client("sqs").send_message(
        QueueUrl=execution.dead_letters_url, MessageBody=execution.body()
    )


def forge_dead_letter(execution: Execution) -> None:
    forged = json.loads(execution.body()) | {"token": "a" * 10}
    execution.environment.client("sqs").send_message(
        QueueUrl=execution.dead_letters_url, MessageBody=json.dumps(forged)
    )


def state(execution: Execution) -> dict[str, Any]:
    """Everything that reconciling could touch: evidence, versions, tags, aliases and lineage."""
    environment = execution.environment
    s3, admin = environment.client("s3"), environment.admin()
    kept = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=EVIDENCE):
        for each in page.get("Versions", []):
            if "/leases/" not in each["Key"]:
                kept[each["Key"], each["VersionId"]] = each["ETag"]
    found: dict[str, Any] = {"evidence": kept, "lineage": {}, "models": {}}
    for node in admin.external_metadata.list_external_metadata():
        end = uc.ExternalLineageObject(
            external_metadata=uc.ExternalLineageExternalMetadata(node.name)
        )
        related = [
            each.external_lineage_info.as_dict()
            for direction in (uc.LineageDirection.UPSTREAM, uc.LineageDirection.DOWNSTREAM)
            for each in admin.external_lineage.list_external_lineage_relationships(end, direction)
            if each.external_lineage_info
        ]
        found["lineage"][node.name] = (node.as_dict(), related)
    for model in admin.registered_models.list(catalog_name="edgar", schema_name="models"):
        name = str(model.full_name)
        versions = call(execution, "GET", f"/api/2.1/unity-catalog/models/{name}/versions")
        found["models"][name] = (
            [_without_times(each) for each in versions.get("model_versions", [])],
            [each.as_dict() for each in admin.registered_models.get(name).aliases or []],
        )
    return found


def _without_times(version: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in version.items() if not key.startswith("updated")}
    return kept | {"tags": sorted(kept["tags"], key=lambda tag: str(tag["key"]))}
