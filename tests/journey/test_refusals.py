"""Refusals of the pipeline: at the gate, without a privilege, for changed data. Nothing is
registered or written.
"""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.journey.conftest import Environment, wait_for

pytestmark = pytest.mark.environment

GOVERNED = "governed-finetune-local-governed-000000000000-us-east-1"


def versions(environment: Environment) -> list[int]:
    return [
        int(str(v.version))
        for v in environment.workspace.model_versions.list("edgar.models.risk_analyst")
    ]


def commits(environment: Environment) -> list[str]:
    """Everything in the curated area, by key."""
    s3 = environment.client("s3", environment.storage_role)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=GOVERNED, Prefix="curated/")
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def test_a_loss_above_the_bound_is_rejected_with_both_numbers(environment: Environment) -> None:
    before = versions(environment)
    code, outcome = environment.run(MaxEvalLoss="0.01")
    assert code == 1
    assert outcome["status"] == "Failed"
    assert str(outcome["eval_loss"]) in outcome["failure"]
    assert "0.01" in outcome["failure"]
    assert versions(environment) == before


def test_the_gate_cannot_be_lifted_by_parameters(environment: Environment) -> None:
    """By `run`, by the API with an alias, and by the API with a bound: nothing is started."""
    before = versions(environment)
    lifted = ("--set", "MaxEvalLoss=1e8", "--set", "ModelAlias=champion")
    refused = environment.command("pipeline.run", *lifted)
    assert refused.returncode == 2
    assert "expected at most 1000 (limits.max_eval_loss), got 100000000.0" in refused.stderr
    assert "ModelAlias   expected one of challenger (the deployed definition)" in refused.stderr
    sagemaker = environment.client("sagemaker")
    start = {"PipelineName": "governed-finetune-local"}
    alias = [{"Name": "ModelAlias", "Value": "champion"}]
    with pytest.raises(ClientError, match="ModelAlias: expected one of challenger"):
        sagemaker.start_pipeline_execution(**start, PipelineParameters=alias)
    for bound in ("1e300", "nan"):
        parameters = [{"Name": "MaxEvalLoss", "Value": bound}]
        answer = sagemaker.start_pipeline_execution(**start, PipelineParameters=parameters)
        arn = {"PipelineExecutionArn": answer["PipelineExecutionArn"]}
        wait_for(lambda arn=arn: _status(sagemaker, arn) == "Failed")
        steps = sagemaker.list_pipeline_execution_steps(**arn)["PipelineExecutionSteps"]
        assert {step["StepName"] for step in steps} == {"Limits", "BeyondLimits"}
        with pytest.raises(ClientError, match="Fail step"):
            sagemaker.retry_pipeline_execution(**arn, ClientRequestToken="again" * 8)
    assert versions(environment) == before


def _status(sagemaker: Any, arn: dict[str, str]) -> str:
    return str(sagemaker.describe_pipeline_execution(**arn)["PipelineExecutionStatus"])


@contextmanager
def revoked(
    environment: Environment, principal: str, schema: str, privilege: str
) -> Iterator[None]:
    path = f"/api/2.1/unity-catalog/permissions/schema/{schema}"

    def change(verb: str) -> None:
        body = {"changes": [{"principal": environment.principal(principal), verb: [privilege]}]}
        environment.admin.api_client.do("PATCH", path, body=body)

    change("remove")
    try:
        yield
    finally:
        change("add")


@pytest.mark.parametrize("privilege", ["SELECT", "EXTERNAL_USE_SCHEMA"])
def test_a_revoked_privilege_stops_prepare_before_it_writes(
    environment: Environment, privilege: str
) -> None:
    before = commits(environment)
    with revoked(environment, "prepare", "edgar.raw", privilege):
        code, outcome = environment.run()
    assert code == 1
    assert environment.principal("prepare") in outcome["failure"]
    assert "edgar.raw.filings" in outcome["failure"]
    assert privilege.replace("_", " ") in outcome["failure"]
    assert commits(environment) == before


def test_a_model_in_a_missing_schema_is_refused_before_training(
    environment: Environment,
) -> None:
    before = commits(environment)
    code, outcome = environment.run(ModelName="edgar.modles.risk_analyst")
    assert code == 1
    assert "schema edgar.modles of the model does not exist" in outcome["failure"]
    assert {step["name"]: step["status"] for step in outcome["steps"]} == {
        "Limits": "Succeeded", "Prepare": "Failed", "Train": "Waiting", "Gate": "Waiting",
        "Register": "Waiting",
    }  # fmt: skip
    assert commits(environment) == before


@contextmanager
def secret_of_prepare(environment: Environment, **changes: str) -> Iterator[None]:
    secrets = environment.client("secretsmanager", environment.root)
    name = "governed-finetune-local/databricks/prepare"
    before = secrets.get_secret_value(SecretId=name)["SecretString"]
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(json.loads(before) | changes))
    try:
        yield
    finally:
        secrets.put_secret_value(SecretId=name, SecretString=before)


def test_a_wrong_client_secret_names_principal_host_and_secret_but_not_its_value(
    environment: Environment,
) -> None:
    with secret_of_prepare(environment, clientSecret="wrong-s3cret"):
        code, outcome = environment.run()
    assert code == 1
    for message in (
        environment.principal("prepare"),
        environment.scientist["DATABRICKS_HOST"],
        "databricks/prepare",
    ):
        assert message in outcome["failure"]
    assert "invalid_client" in outcome["failure"]
    assert "wrong-s3cret" not in outcome["failure"]


def test_a_secret_without_an_identity_is_named(environment: Environment) -> None:
    with secret_of_prepare(environment, clientId=""):
        code, outcome = environment.run()
    assert code == 1
    assert "databricks/prepare holds no Databricks service principal" in outcome["failure"]


@pytest.mark.parametrize("role", ["prepare", "train", "register", "scientist", "ci", "pipeline"])
def test_no_role_reads_governed_data_with_its_own_credentials(
    environment: Environment, role: str
) -> None:
    s3 = environment.client("s3", environment.role(role))
    key = next(key for key in commits(environment) if key.endswith(".parquet"))
    for call, arguments in (
        (s3.get_object, {"Key": key}),
        (s3.put_object, {"Key": key, "Body": b""}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call(Bucket=GOVERNED, **arguments)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.list_objects_v2(Bucket=GOVERNED, Prefix="curated/")


def prepared(environment: Environment, execution: str) -> dict[str, Any]:
    """The manifest of an execution whose Prepare has just succeeded."""
    wait_for(
        lambda: environment.steps(execution).get("Prepare", {}).get("StepStatus") == "Succeeded"
    )
    key = f"executions/{execution.rsplit('/', 1)[-1]}/prepare/manifest.json"
    s3 = environment.client("s3", environment.root)
    manifest: dict[str, Any] = json.loads(
        s3.get_object(Bucket="governed-finetune-local-evidence-000000000000-us-east-1", Key=key)[
            "Body"
        ].read()
    )
    return manifest


def test_a_file_altered_in_place_stops_train_before_its_first_step(
    environment: Environment,
) -> None:
    # made now: Train's process starts while the file is altered, and a role's keys take seconds
    s3 = environment.client("s3", environment.storage_role)
    environment.client("s3", environment.root)
    execution = environment.start()
    manifest = prepared(environment, execution)
    path = manifest["files"][0]["path"]
    key = manifest["target"]["location"].removeprefix(f"s3://{GOVERNED}/") + f"/{path}"
    content = bytearray(s3.get_object(Bucket=GOVERNED, Key=key)["Body"].read())
    content[len(content) // 2] ^= 1
    s3.put_object(Bucket=GOVERNED, Key=key, Body=io.BytesIO(bytes(content)))
    wait_for(lambda: environment.status(execution) != "Executing")
    assert environment.status(execution) == "Failed"
    train = environment.steps(execution)["Train"]
    assert path in train["FailureReason"]
    assert manifest["files"][0]["sha256"] in train["FailureReason"]
    job = environment.client("sagemaker").describe_training_job(
        TrainingJobName=train["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[-1]
    )
    assert not job.get("FinalMetricDataList")


def test_a_newer_commit_does_not_change_what_train_reads(environment: Environment) -> None:
    first = environment.start()
    mine = prepared(environment, first)
    second = environment.start(Seed="18")  # commits a newer version while the first one trains
    theirs = prepared(environment, second)
    for execution in (first, second):
        wait_for(
            lambda execution=execution: environment.status(execution) != "Executing", seconds=240
        )
        assert environment.status(execution) == "Succeeded"
    assert theirs["target"]["version"] > mine["target"]["version"]
    assert {file["path"] for file in mine["files"]}.isdisjoint(
        file["path"] for file in theirs["files"]
    )
    for execution, manifest in ((first, mine), (second, theirs)):
        job = environment.steps(execution)["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit(
            "/", 1
        )[-1]
        key = f"executions/{execution.rsplit('/', 1)[-1]}/train/{job}/manifest.json"
        s3 = environment.client("s3", environment.root)
        trained = json.loads(
            s3.get_object(
                Bucket="governed-finetune-local-evidence-000000000000-us-east-1", Key=key
            )["Body"].read()
        )
        assert trained["data"]["version"] == manifest["target"]["version"]
        assert trained["data"]["examples_train"] == manifest["counts"]["examples_train"]
