"""What SageMaker and EMR Serverless know about an execution and its two jobs, read as it is now."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steps.audit.services.store import client, translated
from steps.governance.errors import IntegrityError

_JOB_RUN = re.compile(r":/applications/(?P<application>[^/]+)/jobruns/(?P<run>[^/]+)$")


@dataclass(frozen=True)
class Execution:
    """An execution: SageMaker's description, its definition's text and its resolved parameters."""

    described: Mapping[str, Any]
    definition: str
    parameters: Mapping[str, str]


class Jobs:
    """Reads of SageMaker and EMR Serverless."""

    def __init__(self, region: str) -> None:
        self._sagemaker, self._emr = client("sagemaker", region), client("emr-serverless", region)

    def status(self, execution_arn: str) -> str:
        """Return an execution's status, such as Executing or Succeeded."""
        return str(self.described(execution_arn)["PipelineExecutionStatus"])

    def described(self, execution_arn: str) -> Mapping[str, Any]:
        """Return SageMaker's description of an execution."""
        with translated(f"describe execution {execution_arn}"):
            answer = self._sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution_arn)
        return dict(answer)

    def execution(self, execution_arn: str) -> Execution:
        """Return the description, the definition and the parameters of an execution."""
        described = self.described(execution_arn)
        with translated(f"read the definition of {execution_arn}"):
            definition = self._sagemaker.describe_pipeline_definition_for_execution(
                PipelineExecutionArn=execution_arn
            )["PipelineDefinition"]
        with translated(f"read the parameters of {execution_arn}"):
            pages = self._sagemaker.get_paginator(
                "list_pipeline_parameters_for_execution"
            ).paginate(PipelineExecutionArn=execution_arn)
            given = {
                entry["Name"]: entry["Value"]
                for page in pages
                for entry in page["PipelineParameters"]
            }
        return Execution(described, definition, _defaults(definition) | given)

    def steps(self, execution_arn: str) -> list[Mapping[str, Any]]:
        """Return an execution's steps, as SageMaker lists them."""
        with translated(f"list the steps of {execution_arn}"):
            pages = self._sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
                PipelineExecutionArn=execution_arn
            )
            return [step for page in pages for step in page["PipelineExecutionSteps"]]

    def training_job(self, arn: str) -> Mapping[str, Any]:
        """Return SageMaker's description of a training job."""
        name = arn.rsplit("/", 1)[-1]
        with translated(f"describe training job {name}"):
            return dict(self._sagemaker.describe_training_job(TrainingJobName=name))

    def job_run(self, arn: str) -> Mapping[str, Any]:
        """Return EMR Serverless' description of a job run.

        Raises:
            IntegrityError: not the ARN of a job run.
        """
        found = _JOB_RUN.search(arn)
        if found is None:
            raise IntegrityError(
                "not a job run", expected="…:/applications/<id>/jobruns/<id>", got=arn[:200]
            )
        with translated(f"describe job run {found['run']}"):
            answer = self._emr.get_job_run(
                applicationId=found["application"], jobRunId=found["run"]
            )
        return dict(answer["jobRun"])


def _defaults(definition: str) -> dict[str, str]:
    try:
        parameters = json.loads(definition).get("Parameters", [])
        return {
            each["Name"]: str(each["DefaultValue"]) for each in parameters if "DefaultValue" in each
        }
    except (ValueError, AttributeError, KeyError, TypeError):
        raise IntegrityError(
            "the execution's definition cannot be read", expected="a pipeline definition"
        ) from None
