"""What SageMaker and EMR Serverless know about an execution, for the stub of `sagemaker_stub`."""

import json
from typing import Any

from tests.steps.register.support.register_environment import (
    ACCOUNT,
    ARTIFACTS,
    CURATED,
    HEX,
    RAW,
    REGION,
)

PREPARE_IMAGE = "registry/prepare@sha256:" + "ab" * 32
ENTRY_POINT = "local:///opt/app/steps/prepare/__main__.py"
SPARK = {"sparkSubmitParameters": "--conf spark.executor.cores=4"}
STARTER = f"arn:aws:sts::{ACCOUNT}:assumed-role/scientist/somebody"
TRAIN_IMAGE = "registry/train@sha256:" + HEX * 4


def execution_state(arn: str, model: str, *, callback: tuple[str, str]) -> dict[str, Any]:
    """The execution, its steps and parameters. `callback` is the token and the queue's URL."""
    token, queue_url = callback
    job = {"ApplicationId": "app1", "JobRunId": _run_id(arn)}
    steps = [
        _step("Limits", "Succeeded", {"Condition": {"Outcome": "True"}}),
        _step("Prepare", "Succeeded", {"EMRServerless": job}),
        _step("Train", "Succeeded", {"TrainingJob": {"Arn": _job_arn(_job_name(arn))}}),
        _step("Gate", "Succeeded", {"Condition": {"Outcome": "True"}}),
        _step(
            "Register",
            "Executing",
            {"Callback": {"CallbackToken": token, "SqsQueueUrl": queue_url}},
        ),
    ]
    return {
        "arn": arn,
        "pipeline_arn": arn.split("/execution/")[0],
        "status": "Executing",
        "steps": steps,
        "callback": steps[-1],
        "parameters": {"ModelName": model},
        "created_by": {"IamIdentity": {"Arn": STARTER}},
        "definition": json.dumps(_definition()),
    }


def _step(name: str, status: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "StepName": name,
        "StepStatus": status,
        "StartTime": 1795323600.0,
        "Metadata": metadata,
    }


def _definition() -> dict[str, Any]:
    defaults = {
        "RawTable": RAW,
        "CuratedTable": CURATED,
        "ModelAlias": "challenger",
        "MaxEvalLoss": 2.5,
        "TrainInstanceType": "ml.g5.16xlarge",
    }
    parameters: list[dict[str, Any]] = [
        {"Name": name, "Type": "String", "DefaultValue": value} for name, value in defaults.items()
    ]
    prepare = {
        "ExecutionRoleArn": _role("prepare"),
        "JobConfig": {
            "jobDriver": {"sparkSubmit": {"entryPoint": ENTRY_POINT, **SPARK}},
            "tags": {"image": PREPARE_IMAGE},
        },
    }
    train = {
        "RoleArn": _role("train"),
        "AlgorithmSpecification": {"TrainingImage": TRAIN_IMAGE},
    }
    return {
        "Version": "2020-12-01",
        "Parameters": [*parameters, {"Name": "ModelName", "Type": "String"}],
        "Steps": [
            {
                "Name": "Limits",
                "Type": "Condition",
                "Arguments": {
                    "IfSteps": [{"Name": "Prepare", "Type": "EMRServerless", "Arguments": prepare}],
                    "ElseSteps": [{"Name": "BeyondLimits", "Type": "Fail", "Arguments": {}}],
                },
            },
            {"Name": "Train", "Type": "Training", "Arguments": train},
            {"Name": "Gate", "Type": "Condition", "Arguments": {}},
        ],
    }


def prepare_job(arn: str) -> dict[str, Any]:
    """The answer of GetJobRun."""
    run_id = _run_id(arn)
    return {
        "applicationId": "app1",
        "jobRunId": run_id,
        "arn": f"arn:aws:emr-serverless:{REGION}:{ACCOUNT}:/applications/app1/jobruns/{run_id}",
        "state": "SUCCESS",
        "startedAt": 1795323500.0,
        "endedAt": 1795323561.0,
        "executionRole": _role("prepare"),
        "imageConfiguration": {
            "imageUri": PREPARE_IMAGE,
            "resolvedImageDigest": PREPARE_IMAGE.partition("@")[2],
        },
        "totalExecutionDurationSeconds": 61,
        "billedResourceUtilization": {
            "vCPUHour": 0.068,
            "memoryGBHour": 0.136,
            "storageGBHour": 0.0,
        },
        "releaseLabel": "emr-spark-8.0.0",
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": ENTRY_POINT,
                **SPARK,
                "entryPointArguments": ["--execution-arn", arn, "--seed", "17"],
            }
        },
    }


def training_job(arn: str, name: str, *, artifact_key: str, base_uri: str) -> dict[str, Any]:
    """The answer of DescribeTrainingJob."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": base_uri}}
    return {
        "TrainingJobName": name,
        "TrainingJobArn": _job_arn(name),
        "TrainingJobStatus": "Completed",
        "ModelArtifacts": {"S3ModelArtifacts": f"s3://{ARTIFACTS}/{artifact_key}"},
        "FinalMetricDataList": [
            {"MetricName": "eval:loss", "Value": 2.1, "Timestamp": 1795323700.0}
        ],
        "RoleArn": _role("train"),
        "AlgorithmSpecification": {
            "TrainingImage": TRAIN_IMAGE,
            "TrainingInputMode": "File",
        },
        "ResourceConfig": {
            "InstanceType": "ml.g5.16xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 100,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 14_400},
        "HyperParameters": {"execution_arn": arn, "seed": "17"},
        "InputDataConfig": [{"ChannelName": "model", "DataSource": source}],
        "TrainingStartTime": 1795323600.0,
        "TrainingEndTime": 1795323700.0,
        "TrainingTimeInSeconds": 100,
        "BillableTimeInSeconds": 30,
    }


def _role(step: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{step}"


def _run_id(arn: str) -> str:
    return f"run{arn[-12:]}"


def _job_name(arn: str) -> str:
    return f"pipelines-{arn[-12:]}-Train"


def _job_arn(name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{name}"
