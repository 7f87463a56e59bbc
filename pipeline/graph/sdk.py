"""The one door to the SageMaker SDK: importing it costs 6 to 8 s, so only modules that declare steps come through here.

The SDK wants a region to be imported, calls IAM when a trainer is constructed, reports telemetry, reads defaults from
the user's own files and logs to the root logger. Here it does none of this: the same bytes come out on any machine,
and `offline_session` refuses every request, so that "compiling calls nobody" is a property and not a hope.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

import boto3
import botocore.session


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """The process state in which the SDK imports and compiles offline, silent; restored afterwards."""
    settings = {"AWS_DEFAULT_REGION": "us-east-1", "SAGEMAKER_VALIDATE_ROLE": "false"}
    before = {name: os.environ.get(name) for name in settings}
    root, loudness = logging.getLogger(), logging.root.manager.disable
    handlers, level = list(root.handlers), root.level
    os.environ.update(settings)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # The SDK's own deprecated imports, and its notice that a PipelineSession starts no job.
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(loudness)
        root.handlers, root.level = handlers, level
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


with compiling():
    from sagemaker.core.shapes import OutputDataConfig
    from sagemaker.core.training.configs import (
        CheckpointConfig,
        Compute,
        InputData,
        MetricDefinition,
        Networking,
        StoppingCondition,
        Tag,
    )
    from sagemaker.core.workflow.conditions import ConditionLessThanOrEqualTo
    from sagemaker.core.workflow.execution_variables import ExecutionVariables
    from sagemaker.core.workflow.functions import Join
    from sagemaker.core.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
    from sagemaker.core.workflow.pipeline_context import PipelineSession
    from sagemaker.mlops.workflow.callback_step import (
        CallbackOutput,
        CallbackOutputTypeEnum,
        CallbackStep,
    )
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.emr_serverless_step import (
        EMRServerlessJobConfig,
        EMRServerlessStep,
    )
    from sagemaker.mlops.workflow.fail_step import FailStep
    from sagemaker.mlops.workflow.pipeline import Pipeline
    from sagemaker.mlops.workflow.retry import (
        SageMakerJobExceptionTypeEnum,
        SageMakerJobStepRetryPolicy,
        StepExceptionTypeEnum,
        StepRetryPolicy,
    )
    from sagemaker.mlops.workflow.steps import TrainingStep
    from sagemaker.train import ModelTrainer

__all__ = [
    "CallbackOutput",
    "CallbackOutputTypeEnum",
    "CallbackStep",
    "CheckpointConfig",
    "Compute",
    "ConditionLessThanOrEqualTo",
    "ConditionStep",
    "EMRServerlessJobConfig",
    "EMRServerlessStep",
    "ExecutionVariables",
    "FailStep",
    "InputData",
    "Join",
    "MetricDefinition",
    "ModelTrainer",
    "Networking",
    "OutputDataConfig",
    "ParameterFloat",
    "ParameterInteger",
    "ParameterString",
    "Pipeline",
    "PipelineSession",
    "SageMakerJobExceptionTypeEnum",
    "SageMakerJobStepRetryPolicy",
    "StepExceptionTypeEnum",
    "StepRetryPolicy",
    "StoppingCondition",
    "Tag",
    "TrainingStep",
    "compiling",
    "offline_session",
]

# Given explicitly, so that no defaults file of the user or the machine can change the definition.
_NO_DEFAULTS = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}


def offline_session(region: str, bucket: str) -> PipelineSession:
    """A session to compile with; any request made through it raises instead of leaving the process."""
    core = botocore.session.Session()
    core.register("before-send", _refuse)
    return PipelineSession(
        boto_session=boto3.Session(botocore_session=core, region_name=region),
        default_bucket=bucket,
        sagemaker_config=_NO_DEFAULTS,
    )


def _refuse(**event: Any) -> NoReturn:
    message = f"compiling must call nobody, but the SDK asked for {event['request'].url}; pin sagemaker as requirements/ does"
    raise RuntimeError(message)
