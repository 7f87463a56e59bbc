"""Requests and the pipeline definition of these tests, for the outputs of a deployed stack."""

from collections.abc import Mapping
from typing import Any

from pipeline.local.aws.processes import images

_IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/governed-finetune/train"


def train_arguments(outputs: Mapping[str, str], **changes: Any) -> dict[str, Any]:
    """Return the request of a training job with the stack's train role."""
    return {
        "AlgorithmSpecification": {
            "TrainingImage": f"{_IMAGE}@sha256:{0:064}",
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {
                    "Name": "eval:loss_before",
                    "Regex": "eval_loss_before=([0-9.eE+-]+|nan|inf);",
                },
                {"Name": "eval:loss", "Regex": "eval_loss=([0-9.eE+-]+|nan|inf);"},
                {"Name": "never", "Regex": "never=([0-9.]+);"},
            ],
        },
        "RoleArn": outputs["TrainRoleArn"],
        "OutputDataConfig": {"S3OutputPath": f"s3://{outputs['ArtifactsBucket']}/executions/x"},
        "ResourceConfig": {
            "InstanceType": "ml.g5.16xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 10,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "HyperParameters": {"do": "train"},
        **changes,
    }


def prepare_arguments(outputs: Mapping[str, str], do: Any = "nothing") -> dict[str, Any]:
    """Return the arguments of an EMRServerless step with the stack's prepare role."""
    submit = {
        "entryPoint": f"local://{images.WORKDIR}/steps/prepare.py",
        "entryPointArguments": ["--do", do],
    }
    return {
        "ExecutionRoleArn": outputs["PrepareRoleArn"],
        "ApplicationId": outputs["ApplicationId"],
        "JobConfig": {
            "name": "prepare",
            "executionRoleArn": outputs["PrepareRoleArn"],
            "applicationId": outputs["ApplicationId"],
            "jobDriver": {"sparkSubmit": submit},
            "configurationOverrides": {},
        },
    }


def definition(outputs: Mapping[str, str]) -> dict[str, Any]:
    """Prepare, Train, Gate, Register or Rejected, in the form that the SDK compiles to."""
    hyperparameters = {"do": {"Get": "Parameters.Train"}, "loss": {"Get": "Parameters.Loss"}}
    prepare = {
        "Name": "Prepare",
        "Type": "EMRServerless",
        "DisplayName": "Prepare",
        "Arguments": prepare_arguments(outputs, {"Get": "Parameters.Prepare"}),
    }
    train = {
        "Name": "Train",
        "Type": "Training",
        "DependsOn": ["Prepare"],
        "Arguments": train_arguments(outputs, HyperParameters=hyperparameters)
        | {"MlflowConfig": None},
    }
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            {"Name": "Prepare", "Type": "String", "DefaultValue": "nothing"},
            {"Name": "Train", "Type": "String", "DefaultValue": "train"},
            {"Name": "Loss", "Type": "String", "DefaultValue": "2.5"},
            {"Name": "MaxEvalLoss", "Type": "Float", "DefaultValue": 3.0},
            {
                "Name": "Mode",
                "Type": "String",
                "DefaultValue": "auto",
                "EnumValues": ["auto", "off"],
            },
        ],
        "Steps": [prepare, train, _gate(outputs)],
    }


def _gate(outputs: Mapping[str, str]) -> dict[str, Any]:
    loss = {"Get": "Steps.Train.FinalMetricDataList['eval:loss'].Value"}
    bound = {"Get": "Parameters.MaxEvalLoss"}
    within = {"Type": "LessThanOrEqualTo", "LeftValue": loss, "RightValue": bound}
    register = {
        "Name": "Register",
        "Type": "Callback",
        "SqsQueueUrl": outputs["RegisterQueueUrl"],
        "Arguments": {},
        "OutputParameters": [
            {"OutputName": name, "OutputType": "String"} for name in ("model_version", "model_uri")
        ],
    }
    message = ["eval loss ", loss, " is not within ", bound]
    rejected = {
        "Name": "Rejected",
        "Type": "Fail",
        "Arguments": {"ErrorMessage": {"Std:Join": {"On": "", "Values": message}}},
    }
    return {
        "Name": "Gate",
        "Type": "Condition",
        "Arguments": {"Conditions": [within], "IfSteps": [register], "ElseSteps": [rejected]},
    }
