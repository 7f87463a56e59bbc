"""One message becomes one registered model, with tags, record and lineage."""

import json

import pytest

from steps.governance.names import UcName
from steps.governance.unity_catalog.identity import connect
from steps.governance.unity_catalog.lineage import Lineage, model_version
from steps.register.lambda_function import handler
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions, register_environment
from tests.steps.register.support.deliveries import (
    deliver,
)
from tests.steps.register.support.register_environment import RegisterEnvironment

pytestmark = pytest.mark.environment


def test_a_callback_ends_in_one_version_with_alias_tags_record_and_lineage(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.send()
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()
    record = execution.evidence("record.json")
    assert {
        name: record["execution"]["parameters"][name] for name in ("ModelName", "MaxEvalLoss")
    } == {
        "ModelName": execution.model,
        "MaxEvalLoss": "2.5",
    }
    assert record["principals"]["databricks"] == execution.environment.principal
    tags = execution.environment.admin().api_client.do(
        "GET",
        "/api/2.0/mlflow/unity-catalog/model-versions/get",
        query={"name": execution.model, "version": "1"},
    )["model_version"]["tags"]
    assert {"key": "mlflow_run_id", "value": "0123456789abcdef"} in tags, (
        "a reader of the registry finds the curves"
    )
    precision = {
        tag["key"].removeprefix("fp8_"): tag["value"]
        for tag in tags
        if tag["key"].startswith("fp8_")
    }
    assert (
        precision
        == record["fp8"]
        == {"requested": "auto", "effective": "storage", "dtype": "bfloat16", "device": "cpu"}
    )


def test_lineage_walks_from_the_model_back_to_the_raw_table(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.send()
    deliver(worker)
    workspace = connect(
        host=execution.environment.host,
        secret_id=register_environment.SECRET_ID,
        region=register_environment.REGION,
    )
    walked = list(Lineage(workspace).walk_upstream(model_version(UcName.parse(execution.model), 1)))
    record = execution.evidence("record.json")
    path = [
        (edge.source, edge.target)
        for edge in walked
        if edge.source in dict(map(tuple, record["lineage"]["edges"]))
    ]
    assert set(path) >= {tuple(edge) for edge in record["lineage"]["edges"]}
    assert walked[0].target == f"model_version:{execution.model}/1"
    assert f"table:{register_environment.RAW}" in {edge.source for edge in walked}


def test_objects_that_everybody_may_read_hold_digests_and_ids_only(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.send()
    deliver(worker)
    admin = execution.environment.admin()
    for node in execution.evidence("record.json")["lineage"]["nodes"]:
        text = json.dumps(
            admin.external_metadata.get_external_metadata(node.removeprefix("job:")).as_dict()
        )
        properties = json.loads(text)["properties"]
        assert properties["execution_id"] == execution.id
        for secret in (
            "s3://",
            register_environment.RAW,
            register_environment.CURATED,
            execution.model,
            "arn:",
            "hyperparameters",
        ):
            assert secret not in text


def test_of_two_training_jobs_the_one_that_sagemaker_names_is_registered(
    worker: Worker, execution: executions.Execution
) -> None:
    """Train was run again after a first job had written its manifest and was lost."""
    lost = execution.trained.model_copy(
        update={"training_job": "pipelines-lost-Train", "files": []}
    )
    for name in ("train/manifest.json", f"train/{lost.training_job}/manifest.json"):
        key = f"executions/{execution.id}/{name}"
        execution.environment.client("s3").put_object(
            Bucket=register_environment.EVIDENCE, Key=key, Body=lost.to_bytes()
        )
    execution.send()
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()
    assert execution.evidence("record.json")["train"]["manifest_sha256"] == execution.trained.sha256


def test_why_no_version_could_be_made_is_logged_and_noted(
    worker: Worker, execution: executions.Execution, caplog: pytest.LogCaptureFixture
) -> None:
    execution.environment.faults(
        {"method": "POST", "path": "model-versions/create$", "times": 3, "status": 503}
    )
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    logged = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sum("was perhaps not made: the registry gave no answer" in line for line in logged) == 3
    (note,) = [line for line in logged if "not registered yet" in line]
    assert "became READY" in note
    principal = execution.environment.principal
    assert f"got       the registry gave no answer while {principal} tried to create" in note


def test_lambda_names_the_messages_that_are_not_done(
    worker_environment: RegisterEnvironment,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    argv = execution.argv()
    settings = {
        name.removeprefix("--").replace("-", "_").upper(): value
        for name, value in zip(argv[::2], argv[1::2], strict=True)
    }
    for name, value in (settings | {"AWS_REGION": register_environment.REGION}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("steps.register.lambda_function._worker", None)
    execution.send()
    message = execution.environment.client("sqs").receive_message(
        QueueUrl=execution.queue_url, AttributeNames=["All"]
    )["Messages"][0]
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
    }
    spoofed = record | {"messageId": "spoofed", "body": execution.body(token="0" * 10)}
    assert handler({"Records": [spoofed, record]}, None) == {
        "batchItemFailures": [{"itemIdentifier": "spoofed"}]
    }
    execution.check_settled()
