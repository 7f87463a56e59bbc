"""Read the progress of an execution from SageMaker."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipeline import account
from pipeline.configuration.config import Config
from pipeline.deployment.validation import every_step
from pipeline.execution.outcome import REGISTER_WAITS, Progress, StepState

_WITHOUT_CAUSE = re.compile(
    r"AlgorithmError:[ ,]*(?P<how>exit code: -?[0-9]+|killed by signal [0-9]+)?"
)
_KILLED = re.compile(r"code: (137|-9)$|signal 9$")  # SIGKILL, also the kernel's when memory is full


def planned(config: Config, client: Any, arn: str) -> tuple[str, ...]:
    """Return the steps of the execution's own definition, in order, without Fail steps.

    A Fail step is shown only when it is reached.
    """
    with account.answering(f"DescribePipelineDefinitionForExecution {arn}", config):
        answer = client.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
    steps = every_step(json.loads(answer["PipelineDefinition"])["Steps"])
    return tuple(step["Name"] for step in steps if step["Type"] != "Fail")


def observe(
    config: Config, client: Any, arn: str, *, planned: Sequence[str], before: Progress | None = None
) -> Progress:
    """Return the execution's progress now.

    Steps that had ended in `before` are taken from it: their training jobs are not described again.

    Raises:
        Refused: AWS refused.
    """
    with account.answering(f"describing {arn}", config):
        execution = client.describe_pipeline_execution(PipelineExecutionArn=arn)
        pages = client.get_paginator("list_pipeline_execution_steps").paginate(
            PipelineExecutionArn=arn
        )
        waits = _waits(execution.get("PipelineExecutionDescription", ""))
        listed = [_state(step, waits) for page in pages for step in page["PipelineExecutionSteps"]]
        known = {step.name: step for step in before.steps if step.ended} if before else {}
        by_name = {step.name: known.get(step.name) or _measured(client, step) for step in listed}
    names = [*planned, *(name for name in by_name if name not in planned)]
    return Progress(
        arn=arn,
        status=execution["PipelineExecutionStatus"],
        steps=tuple(by_name.get(name, StepState(name)) for name in names),
        failure=execution.get("FailureReason", ""),
    )


def _waits(description: str) -> str:
    """What Register waits for. Its worker writes it into the execution's description, because a
    Callback step has no field for it."""
    return description.partition(REGISTER_WAITS)[2]


def _state(step: dict[str, Any], waits: str) -> StepState:
    metadata = step.get("Metadata", {})
    callback = "Callback" in metadata
    training_job = metadata.get("TrainingJob", {}).get("Arn")
    emr = metadata.get("EMRServerless", {})
    job_run = emr.get("JobRunId")
    outputs = metadata.get("Callback", {}).get("OutputParameters", [])
    return StepState(
        name=step["StepName"],
        status=step["StepStatus"],
        started=step.get("StartTime"),
        ended=step.get("EndTime"),
        failure=metadata.get("Fail", {}).get("ErrorMessage")
        or _with_cause(step.get("FailureReason", ""), training_job or ""),
        job=training_job or job_run or "",
        outputs={output["Name"]: output["Value"] for output in outputs},
        waits=waits if callback and step.get("EndTime") is None else "",
        callback=callback,
        streams=_streams(training_job, emr),
    )


def _streams(training_job: str | None, emr: dict[str, str]) -> str:
    if training_job:
        return f"{training_job.rsplit('/', 1)[-1]}/"
    if "JobRunId" in emr and "ApplicationId" in emr:
        return f"applications/{emr['ApplicationId']}/jobs/{emr['JobRunId']}/"
    return ""


def _with_cause(reason: str, training_job: str) -> str:
    """Explain SageMaker's reason of a container that left none: `AlgorithmError: , exit code: 137`.

    Train writes its reason in every case but one: it was killed.
    """
    found = _WITHOUT_CAUSE.fullmatch(reason)
    if found is None:
        return reason
    how = found["how"] or "exit code unknown"
    memory = "check whether the host ran out of memory; " if _KILLED.search(how) else ""
    name = training_job.rsplit("/", 1)[-1]
    return (
        f"AlgorithmError: the container ended without a reason ({how}); {memory}"
        f"the end of its log is in /aws/sagemaker/TrainingJobs, stream {name}/…"
    )


def _measured(client: Any, step: StepState) -> StepState:
    """The step with the metrics and interruptions of its training job, if it has one."""
    if ":training-job/" not in step.job:
        return step
    job = client.describe_training_job(TrainingJobName=step.job.rsplit("/", 1)[-1])
    metrics = {each["MetricName"]: each["Value"] for each in job.get("FinalMetricDataList", [])}
    statuses = [each["Status"] for each in job.get("SecondaryStatusTransitions", [])]
    archive = job.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")
    return replace(
        step, metrics=metrics, interruptions=statuses.count("Interrupted"), archive=archive
    )
