"""Executions as SageMaker lists them, with their Register step and their two jobs. Reads only."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from steps.governance import aws
from steps.governance.errors import NotFound
from steps.governance.names import execution_id

UNDER_WAY = ("Executing", "Stopping")
_THREADS = 4


@dataclass(frozen=True)
class Step:
    """One step: its status and what it started; a callback's token never shows in `repr`."""

    name: str
    status: str
    metadata: Mapping[str, Any] = field(repr=False)
    started: datetime | None = None


@dataclass(frozen=True)
class Execution:
    """One execution of the pipeline. `changed` is when SageMaker last changed it."""

    arn: str
    status: str
    changed: datetime | None
    steps: tuple[Step, ...]

    @property
    def id(self) -> str:
        """Its 12 characters."""
        return execution_id(self.arn)

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.status in UNDER_WAY

    @property
    def register(self) -> Step | None:
        """The Register step once it has begun."""
        return next((step for step in self.steps if "Callback" in step.metadata), None)

    @property
    def token(self) -> str:
        """The callback token; empty if SageMaker lists none."""
        step = self.register
        return str(step.metadata["Callback"].get("CallbackToken", "")) if step else ""

    @property
    def registered(self) -> bool:
        """Whether Register was answered with Success."""
        return self.register is not None and self.register.status == "Succeeded"

    def job(self, kind: str) -> Mapping[str, Any] | None:
        """Return what a step states about its job: `TrainingJob` or `EMRServerless`."""
        found = [step.metadata[kind] for step in self.steps if kind in step.metadata]
        return dict(found[-1]) if found else None


class Jobs:
    """SageMaker and EMR Serverless as the reconciler's role sees them."""

    def __init__(self, region: str, pipeline_name: str) -> None:
        self._sagemaker = aws.client("sagemaker", region)
        self._emr = aws.client("emr-serverless", region)
        self._pipeline = pipeline_name

    def executions(self) -> list[str]:
        """Return the ARN of each execution of the pipeline."""
        with aws.translated(f"list the executions of {self._pipeline}"):
            pages = self._sagemaker.get_paginator("list_pipeline_executions").paginate(
                PipelineName=self._pipeline
            )
            return [
                str(each["PipelineExecutionArn"])
                for page in pages
                for each in page["PipelineExecutionSummaries"]
            ]

    def execution(self, arn: str) -> Execution:
        """Return one execution with its steps."""
        with aws.translated(f"describe execution {arn}"):
            described = self._sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        with aws.translated(f"list the steps of {arn}"):
            pages = self._sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
                PipelineExecutionArn=arn
            )
            steps = [step for page in pages for step in page["PipelineExecutionSteps"]]
        return Execution(
            arn,
            str(described["PipelineExecutionStatus"]),
            described.get("LastModifiedTime"),
            tuple(
                Step(
                    str(step["StepName"]),
                    str(step["StepStatus"]),
                    step.get("Metadata", {}),
                    step.get("StartTime"),
                )
                for step in steps
            ),
        )

    def training_status(self, arn: str) -> str:
        """Return `InProgress`, `Completed`, …; "gone" if SageMaker does not know the job."""
        name = arn.rsplit("/", 1)[-1]
        try:
            with aws.translated(f"describe training job {name}"):
                answer = self._sagemaker.describe_training_job(TrainingJobName=name)
        except NotFound:
            return "gone"
        return str(answer["TrainingJobStatus"])

    def run_state(self, job: Mapping[str, Any]) -> str:
        """Return `RUNNING`, `SUCCESS`, …; "gone" if EMR Serverless does not know the job run."""
        name = str(job.get("JobRunId", ""))
        try:
            with aws.translated(f"describe job run {name}"):
                answer = self._emr.get_job_run(
                    applicationId=job.get("ApplicationId", ""), jobRunId=name
                )
        except NotFound:
            return "gone"
        return str(answer["jobRun"]["state"])


def is_execution_of(arn: str, pipeline_name: str) -> bool:
    """Whether an ARN is one of an execution of the pipeline; SageMaker lower-cases the name."""
    found = re.search(r":pipeline/([^/]+)/execution/", arn)
    return found is not None and found[1].casefold() == pipeline_name.casefold()
