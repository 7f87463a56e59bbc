"""The real Train job loses its spot instance in the middle, and ends with the same bytes as one
that never did.
"""

import json
import re
from typing import Any

import pytest

from pipeline import metrics
from pipeline.errors import UsageError
from pipeline.local.host.state import State
from pipeline.local.setup import aws_account
from tests.journey.conftest import Environment, wait_for

pytestmark = pytest.mark.environment
NAME = "interrupted"
KEPT = (
    *(
        "HyperParameters",
        "AlgorithmSpecification",
        "RoleArn",
        "InputDataConfig",
        "OutputDataConfig",
        "ResourceConfig",
    ),
    *("StoppingCondition", "Environment", "EnableManagedSpotTraining"),
)


def described(environment: Environment, job: str) -> dict[str, Any]:
    answer: dict[str, Any] = environment.client(
        "sagemaker", environment.root
    ).describe_training_job(TrainingJobName=job)
    return answer


def adapter(environment: Environment, job: dict[str, Any]) -> str:
    """The sha256 of the adapter, as the job's manifest in the evidence bucket has it."""
    bucket, _, prefix = (
        job["HyperParameters"]["train_evidence_uri"].removeprefix("s3://").partition("/")
    )
    key = f"{prefix}/{job['TrainingJobName']}/manifest.json"
    body = (
        environment.client("s3", environment.root).get_object(Bucket=bucket, Key=key)["Body"].read()
    )
    [entry] = [
        file for file in json.loads(body)["files"] if file["path"] == "adapter_model.safetensors"
    ]
    return str(entry["sha256"])


def test_an_interrupted_job_resumes_to_the_bytes_of_one_that_was_not(
    environment: Environment, first_run: tuple[Any, Any]
) -> None:
    outcome = json.loads(first_run[1].stdout)["outcome"]
    arn = environment.steps(outcome["arn"])["Train"]["Metadata"]["TrainingJob"]["Arn"]
    whole = described(environment, arn.rsplit("/", 1)[-1])
    # The same job again: same execution, data and seed; only its checkpoints are elsewhere, because
    # otherwise it would resume at the end.
    checkpoints = whole["CheckpointConfig"] | {
        "S3Uri": whole["CheckpointConfig"]["S3Uri"] + f"-{NAME}"
    }
    environment.client("sagemaker", environment.root).create_training_job(
        TrainingJobName=NAME, CheckpointConfig=checkpoints, **{name: whole[name] for name in KEPT}
    )
    log = environment.state / "aws" / "jobs" / NAME / "log"
    wait_for(lambda: log.exists() and "[train] step=13 " in log.read_text())
    market = aws_account.root(State(environment.state), environment.scientist["AWS_ENDPOINT_URL"])
    assert market.interrupt(None) == NAME  # as `python -m pipeline.local interrupt` does
    wait_for(lambda: described(environment, NAME)["TrainingJobStatus"] != "InProgress")
    resumed = described(environment, NAME)
    assert resumed["TrainingJobStatus"] == "Completed", resumed.get("FailureReason")
    assert "Interrupted" in [item["Status"] for item in resumed["SecondaryStatusTransitions"]]
    steps = re.findall(r": \[train\] step=(\d+) ", log.read_text())
    assert len(steps) == len(set(steps)) == 30, "no step was made twice"
    assert adapter(environment, resumed) == adapter(environment, whole)
    assert _losses(resumed) == _losses(whole)
    found = {item["MetricName"] for item in resumed["FinalMetricDataList"]}
    # a CPU's peak is not known, and a small set is its own sample
    assert found == metrics.KEYS.keys() - {"train:mfu", "eval:sample_loss"}
    with pytest.raises(
        UsageError, match="expected one training job that runs, got none; name one with --job"
    ):
        market.interrupt(None)


def _losses(job: dict[str, Any]) -> dict[str, float]:
    return {
        item["MetricName"]: item["Value"]
        for item in job["FinalMetricDataList"]
        if "eval" in item["MetricName"]
    }
