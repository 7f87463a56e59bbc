"""Executions of the embedded environment whose Register step no worker has taken."""

from contextlib import closing
from typing import Any

from pipeline import account
from pipeline.command import note
from pipeline.configuration.config import Config
from pipeline.errors import PipelineError
from pipeline.execution import attention
from pipeline.execution.watch import observe
from pipeline.local.started import Started


def lines(running: Started) -> list[str]:
    """Return one line for each execution that runs and has something to wait for.

    It is read with the data scientist's role. If it cannot be read, a note has the reason.
    """
    try:
        return _lines(running)
    except PipelineError as error:
        note(f"whether an execution waits for a worker is not known: {error}")
        return []


def _lines(running: Started) -> list[str]:
    with (
        closing(running.scientist_client("sagemaker")) as sagemaker,
        closing(running.scientist_client("s3")) as s3,
    ):
        seen = [
            attention.noted(running.config, s3, observe(running.config, sagemaker, arn, planned=()))
            for arn in _executing(running.config, sagemaker)
        ]
    return [
        f"execution {progress.arn.rpartition('/')[2]}  {step.name}: {step.waits}"
        for progress in seen
        for step in progress.steps
        if step.waits
    ]


def _executing(config: Config, sagemaker: Any) -> list[str]:
    from botocore.exceptions import ClientError

    with account.answering(f"listing the executions of {config.pipeline.name}", config):
        pages = sagemaker.get_paginator("list_pipeline_executions").paginate(
            PipelineName=config.pipeline.name
        )
        try:
            entries = [entry for page in pages for entry in page["PipelineExecutionSummaries"]]
        except ClientError as error:
            if not account.is_absent(error):
                raise
            return []  # nothing is deployed yet
    return [
        entry["PipelineExecutionArn"]
        for entry in entries
        if entry["PipelineExecutionStatus"] == "Executing"
    ]
