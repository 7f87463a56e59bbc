"""What an execution was billed for: the seconds that AWS states for its two jobs.

    billed.lines(configured, "4x7k2m9p1q0z", table)

SageMaker states `BillableTimeInSeconds` of the training job, which has spot's discount in it; EMR
Serverless states the hours of vCPU, memory and storage of the job run. Reading them changes
nothing, so a lost answer or a 5xx is asked again by botocore (`pipeline/account.py`).
"""

from collections.abc import Iterator
from typing import Any

from pipeline import account
from pipeline.configuration.config import Config
from pipeline.cost.estimate import Line
from pipeline.cost.prices import Prices
from pipeline.errors import Refused
from pipeline.execution.start import execution_arn


def lines(configured: Config, execution: str, table: Prices) -> list[Line]:
    """Return an item for each job of an execution, by its id or ARN, that has ended.

    Raises:
        Refused: AWS refused or did not answer, or no job has ended.
        UsageError: it is not an execution of this pipeline.
    """
    client = account.sagemaker(configured)
    name = configured.pipeline.name
    with account.answering(f"DescribePipeline {name}", configured):
        pipeline_arn = client.describe_pipeline(PipelineName=name)["PipelineArn"]
    arn = execution_arn(pipeline_arn, execution)
    with account.answering(f"listing the steps of {arn}", configured):
        pages = client.get_paginator("list_pipeline_execution_steps").paginate(
            PipelineExecutionArn=arn
        )
        steps = [step for page in pages for step in page["PipelineExecutionSteps"]]
    found = [line for step in reversed(steps) for line in _of(configured, client, step, table)]
    if not found:
        message = f"no job of {arn} has ended, so AWS states no bill yet"
        raise Refused(message)
    return found


def _of(configured: Config, client: Any, step: dict[str, Any], table: Prices) -> Iterator[Line]:
    metadata = step.get("Metadata", {})
    if run := metadata.get("EMRServerless"):
        yield from _prepare(configured, run["JobRunId"], table)
    if job := metadata.get("TrainingJob"):
        yield from _train(configured, client, job["Arn"].rsplit("/", 1)[-1], table)


def _prepare(configured: Config, run: str, table: Prices) -> Iterator[Line]:
    emr = account.client("emr-serverless", configured)
    with account.answering(f"GetJobRun {run}", configured):
        answer = emr.get_job_run(applicationId=configured.prepare.application_id, jobRunId=run)
    used = answer["jobRun"].get("billedResourceUtilization")
    if used is None:
        return
    vcpu, memory, storage = (used[f"{name}Hour"] for name in ("vCPU", "memoryGB", "storageGB"))
    dollars = (
        vcpu * table.emr_vcpu_hour
        + memory * table.emr_memory_gb_hour
        + storage * table.emr_storage_gb_hour
    )
    yield Line("Prepare", f"{vcpu:g} vCPU-hours, {memory:g} GB-hours", dollars)


def _train(configured: Config, client: Any, name: str, table: Prices) -> Iterator[Line]:
    with account.answering(f"DescribeTrainingJob {name}", configured):
        job = client.describe_training_job(TrainingJobName=name)
    seconds = job.get("BillableTimeInSeconds")
    if seconds is None:
        return
    resources = job["ResourceConfig"]
    kind, hosts = resources["InstanceType"], resources["InstanceCount"]
    text = f"{seconds} s billed × {hosts} × {kind} {table.at(kind)} an hour"
    yield Line("Train", text, table.of_hours(kind, seconds / 3600 * hosts))
