"""What the worker refuses: replaced files, records that contradict each other, missing rights."""

import json
from collections.abc import Callable

import pytest
from databricks.sdk.errors import NotFound

from steps.governance.errors import AccessDenied
from steps.governance.names import UcName
from steps.register.model_registry.registry import Registry
from steps.register.worker import Fate, Worker
from tests.steps.register.support import archives, executions, register_environment
from tests.steps.register.support.deliveries import (
    deliver,
    refused_with,
)

pytestmark = pytest.mark.environment


def test_an_archive_that_was_replaced_after_training_is_not_registered(
    worker: Worker, execution: executions.Execution
) -> None:
    files = archives.adapter_files() | {"README.md": b"# another\n"}
    execution.replace_artifact(
        archives.packed(files | {"manifest.json": execution.trained.to_bytes()})
    )
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert "not the one that Train described" in refused_with(execution)


def test_a_mirror_that_changed_after_training_is_refused(
    worker: Worker, execution: executions.Execution
) -> None:
    uri = execution.state["training_job"]["InputDataConfig"][0]["DataSource"]["S3DataSource"][
        "S3Uri"
    ]
    key = uri.removeprefix(f"s3://{register_environment.ARTIFACTS}/") + "mirror.json"
    execution.environment.client("s3").put_object(
        Bucket=register_environment.ARTIFACTS, Key=key, Body=b'{"name": "x"}'
    )
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert "changed after training" in refused_with(execution)


def _job(name: str, value: object) -> Callable[[executions.Execution], None]:
    return lambda execution: execution.state["training_job"].__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_job("TrainingJobStatus", "Failed"), "state of the training job"),
        (_job("HyperParameters", {"execution_arn": "another"}), "hyperparameters"),
        (_job("FinalMetricDataList", []), "within the gate"),
        (
            _job(
                "FinalMetricDataList", [{"MetricName": "eval:loss", "Value": 2.6, "Timestamp": 0.0}]
            ),
            "within the gate",
        ),
        (
            _job(
                "FinalMetricDataList", [{"MetricName": "eval:loss", "Value": 1.9, "Timestamp": 0.0}]
            ),
            "log and manifest",
        ),
        (
            lambda execution: execution.state["prepare_job"].update(state="FAILED"),
            "state of the prepare job",
        ),
        (
            lambda execution: execution.state["parameters"].update(RawTable="edgar.raw.other"),
            "raw table",
        ),
        (
            lambda execution: execution.state["parameters"].update(ModelName="edgar.models/../x"),
            "name was refused",
        ),
        (lambda execution: execution.state["steps"].pop(1), "TrainingJob"),
    ],
)
def test_records_that_contradict_each_other_are_refused(
    worker: Worker,
    execution: executions.Execution,
    change: Callable[[executions.Execution], None],
    what: str,
) -> None:
    change(execution)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert what in refused_with(execution)


def test_without_create_model_the_reason_names_principal_and_privilege(
    worker: Worker, execution: executions.Execution
) -> None:
    environment = execution.environment
    environment.change_grant(
        "SCHEMA", "edgar.models", environment.principal, "remove", "CREATE_MODEL"
    )
    try:
        execution.send()
        assert deliver(worker) is Fate.DELETE
        reason = refused_with(execution)
    finally:
        register_environment.grant_register(environment)
    assert environment.principal in reason
    assert "CREATE" in reason
    assert execution.model.rsplit(".", 1)[0] in reason


def test_a_model_of_another_owner_gets_no_alias_and_the_step_fails(
    worker: Worker, execution: executions.Execution
) -> None:
    name = UcName.parse(execution.model)
    execution.environment.admin().registered_models.create(
        catalog_name=name.catalog, schema_name=name.schema, name=name.name
    )
    execution.send()
    assert deliver(worker) is Fate.DELETE
    (answer,) = execution.answers()
    assert answer["status"] == "Failed"
    assert execution.environment.principal in answer["FailureReason"]
    with pytest.raises(AccessDenied, match="only the model's owner may"):
        Registry(worker.services.workspace).set_alias(name, "challenger", 1)
    with pytest.raises(NotFound):
        execution.environment.admin().model_versions.get_by_alias(execution.model, "challenger")


def test_a_storage_that_refuses_the_upload_fails_the_step_at_once(
    worker: Worker, execution: executions.Execution
) -> None:
    """The bucket's own policy forbids what Unity Catalog vended."""
    s3 = execution.environment.client("s3")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{register_environment.GOVERNED}/*",
    }
    s3.put_bucket_policy(
        Bucket=register_environment.GOVERNED,
        Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}),
    )
    try:
        execution.send()
        assert deliver(worker) is Fate.DELETE
    finally:
        s3.delete_bucket_policy(Bucket=register_environment.GOVERNED)
    assert "the registry's storage refused" in refused_with(execution)
