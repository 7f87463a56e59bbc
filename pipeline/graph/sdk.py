"""The only module that imports the SageMaker SDK, and how it is imported and used offline.

The import takes about 5 s of CPU time, so only modules that declare steps import this one.

By itself the SDK needs a region to be imported, calls IAM when a trainer is constructed, sends
telemetry, reads defaults from the user's files and configures the root logger. `compiling`
prevents this, so that the same bytes come out on every machine. `offline_session` refuses every
call, so a version of the SDK that starts to call AWS fails instead of calling it.
"""

import contextlib
import gc
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

import boto3
import jsonschema


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Import the SDK or compile with it in here: offline, silent and without wasted CPU time.

    The environment, the logging, the garbage collector and jsonschema are restored afterwards.
    """
    with _environment(), _silence(), _fast_schema_validation(), _no_garbage_collection():
        yield


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    settings = {"AWS_DEFAULT_REGION": "us-east-1", "SAGEMAKER_VALIDATE_ROLE": "false"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    root, disabled = logging.getLogger(), logging.root.manager.disable
    handlers, level = list(root.handlers), root.level
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # The SDK's own deprecated imports, and its notice that a PipelineSession starts no job.
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.handlers, root.level = handlers, level


@contextlib.contextmanager
def _fast_schema_validation() -> Iterator[None]:
    """Validate the SDK's defaults against its schema without validating the schema itself.

    The SDK calls `jsonschema.validate` at each of 11 look-ups of a default. Each call first checks
    the whole schema, a constant of the package: 0.12 s, a quarter of what compiling took.
    """
    validate = jsonschema.validate

    def validate_instance(instance: Any, schema: Any) -> None:
        jsonschema.validators.validator_for(schema)(schema).validate(instance)

    jsonschema.validate = validate_instance
    try:
        yield
    finally:
        jsonschema.validate = validate


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pause the cyclic collector. The import creates a million objects that all stay; scanning them
    again and again takes 7 % of the CPU time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


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
    from sagemaker.core.workflow.conditions import ConditionGreaterThan, ConditionLessThanOrEqualTo
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
    "ConditionGreaterThan",
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
    """Return a session to compile with. Every use of one of its clients raises RuntimeError."""
    return PipelineSession(
        boto_session=_OfflineSession(region_name=region),
        default_bucket=bucket,
        sagemaker_config=_NO_DEFAULTS,
    )


class _OfflineSession(boto3.Session):  # type: ignore[misc]  # boto3 has no types
    """A boto3 session whose clients refuse every call.

    The SDK creates eight clients that compiling does not use. These here load no service model,
    which saves 0.4 s of CPU time.
    """

    def client(self, service_name: str, *_: Any, **__: Any) -> Any:
        return _OfflineClient(service_name)

    def resource(self, service_name: str, *_: Any, **__: Any) -> Any:
        return _OfflineClient(service_name)


class _OfflineClient:
    """In place of the client or resource of one service: using any attribute raises."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __getattr__(self, name: str) -> NoReturn:
        message = (
            f"compiling must not call AWS, but the SDK used {self._service}.{name}; "
            "pin sagemaker to the version in requirements/"
        )
        raise RuntimeError(message)
