"""What the worker refuses: replaced files, records that contradict each other, missing rights."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from steps.governance.errors import AccessDenied, GovernanceError
from steps.governance.names import UcName
from steps.register.delivery.failures import impossible
from steps.register.model_registry.registry import Registry
from steps.register.worker import Fate, Worker
from tests.steps.register.support import archives, executions, register_environment
from tests.steps.register.support.deliveries import (
    deliver,
    failure_reason,
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


def _job(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda state: state["training_job"].__setitem__(name, value)


def _loss(value: float) -> Callable[[dict[str, Any]], None]:
    return _job(
        "FinalMetricDataList", [{"MetricName": "eval:loss", "Value": value, "Timestamp": 0.0}]
    )


def _prepare(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda state: state["prepare_job"].__setitem__(name, value)


def _applied(**changes: str) -> Callable[[dict[str, Any]], None]:
    return lambda state: state["prepare_job"]["imageConfiguration"].update(changes)


def _of_another(step: int, member: str) -> Callable[[dict[str, Any]], None]:
    source = {"SourcePipelineExecutionArn": "arn:aws:sagemaker:r:1:pipeline/p/execution/x"}
    return lambda state: state["steps"][step].update({member: source})


CONTRADICTIONS: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (_job("TrainingJobStatus", "Failed"), "state of the training job"),
    (_job("HyperParameters", {"execution_arn": "another"}), "hyperparameters"),
    (_job("FinalMetricDataList", []), "within the gate"),
    (_loss(2.6), "within the gate"),
    (_loss(1.9), "log and manifest"),
    (lambda state: state["prepare_job"].update(state="FAILED"), "state of the prepare job"),
    (lambda state: state["parameters"].update(RawTable="edgar.raw.other"), "raw table"),
    (lambda state: state["parameters"].update(ModelName="edgar.models/../x"), "name was refused"),
    (lambda state: state["steps"].pop(2), "TrainingJob"),
    (_of_another(1, "SelectiveExecutionResult"), "Prepare of another execution"),
    (_of_another(2, "SelectiveExecutionResult"), "Train of another execution"),
    (_of_another(2, "CacheHitResult"), "Train of another execution"),
    (_of_another(3, "SelectiveExecutionResult"), "Gate of another execution"),
    (lambda state: state["steps"].pop(0), "Limits not passed"),
    (lambda state: state["steps"][3]["Metadata"]["Condition"].update(Outcome="False"), "Gate not"),
    (lambda state: state["steps"][3].update(StepStatus="Failed"), "Gate not passed"),
    (_prepare("executionRole", "arn:aws:iam::000000000000:role/x"), "role of the prepare job"),
    (_applied(imageUri="registry/other@sha256:" + "ab" * 32), "image of the prepare job"),
    (_applied(resolvedImageDigest="sha256:" + "0" * 64), "digest of the prepare job's image"),
    (
        lambda state: state["prepare_job"]["jobDriver"]["sparkSubmit"].update(
            entryPointArguments=["--execution-arn", "another"]
        ),
        "execution in the prepare job's arguments",
    ),
    (
        _job("AlgorithmSpecification", {"TrainingImage": "registry/train@sha256:" + "0" * 64}),
        "image of the training job",
    ),
    (_job("RoleArn", "arn:aws:iam::000000000000:role/x"), "role of the training job"),
    (
        _job("ResourceConfig", {"InstanceType": "ml.g6.xlarge", "InstanceCount": 1}),
        "instance type of the training job",
    ),
    (lambda state: state.update(definition="{}"), "definition has no parameter"),
    (
        lambda state: state.update(
            definition=json.dumps(json.loads(state["definition"]) | {"Steps": []})
        ),
        "the pipeline's definition cannot be used",
    ),
]


def test_records_that_contradict_each_other_are_final_errors(
    worker: Worker, execution: executions.Execution
) -> None:
    """The records are read again for each contradiction, without a registration."""
    good = copy.deepcopy(execution.state)
    assert worker.services.facts.read(execution.arn)
    for change, what in CONTRADICTIONS:
        changed = copy.deepcopy(good)
        change(changed)
        execution.environment.stub.executions[execution.arn] = changed
        with pytest.raises(GovernanceError, match=what) as refusal:
            worker.services.facts.read(execution.arn)
        assert impossible(refusal.value)


def test_a_contradiction_fails_the_step(worker: Worker, execution: executions.Execution) -> None:
    _loss(1.9)(execution.state)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert "log and manifest" in refused_with(execution)


RESERVED = [
    ("ModelAlias", "latest", "a model alias was refused before it was used"),
    ("ModelAlias", "LATEST", "a model alias was refused before it was used"),
    ("ModelAlias", "v12", "neither 'latest' nor 'v<number>' got 'v12'"),
    ("ModelAlias", "has space", "a model alias was refused before it was used"),
    ("ModelName", "edgar.models", "a Unity Catalog name was refused before it was used"),
    (
        "ModelName",
        "samples.models.x",
        "a Unity Catalog name was refused before anything was written to it",
    ),
    ("MaxEvalLoss", "high", "the parameter MaxEvalLoss cannot be used"),
]


def test_parameters_that_the_registry_refuses_are_final_errors(
    worker: Worker, execution: executions.Execution
) -> None:
    """Studio lets a person start an execution with them."""
    for parameter, value, reason in RESERVED:
        execution.state["parameters"] = {"ModelName": execution.model, parameter: value}
        with pytest.raises(GovernanceError) as refusal:
            worker.services.facts.read(execution.arn)
        assert reason in " ".join(str(refusal.value).split())
        assert impossible(refusal.value)


BEYOND = [
    ("MaxEvalLoss", "5.1", "MaxEvalLoss is beyond a ceiling of this deployment"),
    ("MaxEvalLoss", "1e300", "expected at most 5 got 1e+300"),
    ("MaxEvalLoss", "inf", "expected at most 5 got inf"),
    ("MaxEvalLoss", "nan", "expected at most 5 got nan"),
    ("MaxEvalLoss", "-inf", "expected at most 5 got -inf"),
    ("MaxEvalLoss", "0", "expected at most 5 got 0"),
    ("ModelAlias", "champion", "expected one of challenger got champion"),
]


def test_parameters_beyond_the_workers_own_ceilings_are_final_errors(
    worker: Worker, execution: executions.Execution
) -> None:
    for parameter, value, reason in BEYOND:
        execution.state["parameters"] = {"ModelName": execution.model, parameter: value}
        with pytest.raises(GovernanceError) as refusal:
            worker.services.facts.read(execution.arn)
        assert reason in " ".join(str(refusal.value).split())
        assert impossible(refusal.value)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_job("ResourceConfig", {"InstanceType": "ml.p5.48xlarge"}), "instance type of Train"),
        (_job("ResourceConfig", {}), "instance type of Train"),
        (_job("StoppingCondition", {"MaxRuntimeInSeconds": 14_401}), "run time of Train"),
        (_job("StoppingCondition", {}), "run time of Train"),
    ],
)
def test_a_training_job_beyond_a_ceiling_is_a_final_error(
    worker: Worker,
    execution: executions.Execution,
    change: Callable[[dict[str, Any]], None],
    what: str,
) -> None:
    change(execution.state)
    with pytest.raises(GovernanceError, match=f"{what} is beyond a ceiling") as refusal:
        worker.services.facts.read(execution.arn)
    assert impossible(refusal.value)


def test_the_gate_cannot_be_lifted_by_parameters_and_the_reason_is_whole(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.state["parameters"] |= {"MaxEvalLoss": "1e300", "ModelAlias": "champion"}
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert " ".join(failure_reason(execution).split()) == (
        "MaxEvalLoss is beyond a ceiling of this deployment; nothing was registered · "
        "expected at most 5 · got 1e+300 · do start again within the configuration's limits"
    )
    assert execution.versions() == []
    assert execution.waiting() == 0
    with pytest.raises(execution.environment.client("s3").exceptions.NoSuchKey):
        execution.evidence("artifact.json")


def test_a_reserved_alias_fails_the_step_before_anything_is_made(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.state["parameters"]["ModelAlias"] = "latest"
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert "a model alias was refused before it was used" in failure_reason(execution)
    assert execution.versions() == []
    assert execution.waiting() == 0
    with pytest.raises(execution.environment.client("s3").exceptions.NoSuchKey):
        execution.evidence("artifact.json")


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


def test_for_a_model_of_another_owner_the_step_fails_and_no_version_is_made(
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
    assert "only the model's owner may" in answer["FailureReason"]
    assert execution.versions() == []
    with pytest.raises(AccessDenied, match="only the model's owner may"):
        Registry(worker.services.workspace).set_alias(name, "challenger", 1)


def test_a_storage_that_refuses_the_upload_fails_the_step_at_once(
    worker: Worker, execution: executions.Execution
) -> None:
    """The bucket's policy denies what the credential of Unity Catalog allows."""
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
