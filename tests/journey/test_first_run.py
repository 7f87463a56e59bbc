"""The first run: the whole pipeline runs, and every standard client finds its results."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.journey.conftest import Environment, local

pytestmark = pytest.mark.environment

FirstRun = tuple[Path, "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def result(first_run: FirstRun, environment: Environment) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(first_run[1].stdout)
    return document


def test_all_four_steps_succeed_and_the_loss_falls(result: dict[str, Any]) -> None:
    outcome = result["outcome"]
    assert outcome["status"] == "Succeeded"
    assert {
        step["name"]: step["status"] for step in outcome["steps"] if step["started"]
    } == dict.fromkeys(("Limits", "Prepare", "Train", "Gate", "Register"), "Succeeded")
    assert outcome["eval_loss"] < outcome["eval_loss_before"] - 1
    assert outcome["model_version"] == "1"


def test_the_registration_is_a_notification_that_run_and_status_show(
    first_run: FirstRun, environment: Environment, result: dict[str, Any]
) -> None:
    outcome = result["outcome"]
    (notice,) = result["notices"]
    assert (notice["kind"], notice["execution"]) == ("Registered", outcome["arn"])
    assert f"\nnotice      Registered: {outcome['model_uri']}, by" in first_run[1].stderr
    status = local(environment.state, "status", "--json")
    assert notice in json.loads(status.stdout)["notices"]


def test_every_filing_is_kept_or_rejected_with_a_reason(result: dict[str, Any]) -> None:
    counts = result["counts"]
    assert counts["filings_read"] == 24 == counts["filings_kept"] + counts["filings_rejected"]
    assert counts["filings_rejected"] >= 6
    assert {"no_risk_factors", "smaller_reporting_company", "duplicate_section"} <= set(
        counts["rejected_by_reason"]
    )
    assert counts["companies_train"] > 2
    assert counts["companies_eval"] > 1


def test_the_registered_model_loads_and_answers(result: dict[str, Any]) -> None:
    assert result["answer"]["version"] == "1"
    assert result["answer"]["completion"].strip()


def test_boto3_finds_steps_metrics_and_logs(
    environment: Environment, result: dict[str, Any]
) -> None:
    steps = environment.steps(result["outcome"]["arn"])
    assert all(step["EndTime"] >= step["StartTime"] for step in steps.values())
    assert steps["Prepare"]["Metadata"]["EMRServerless"]["JobRunId"]
    job_name = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[-1]
    job = environment.client("sagemaker").describe_training_job(TrainingJobName=job_name)
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert metrics["eval:loss"] == pytest.approx(result["outcome"]["eval_loss"])
    assert metrics["eval:loss"] < metrics["eval:loss_before"]
    logs = environment.client("logs")
    stream = logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=job_name
    )
    events = logs.get_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs",
        logStreamName=stream["logStreams"][0]["logStreamName"],
        startFromHead=True,
    )["events"]
    assert any(
        ": [eval]" in event["message"] and " eval_loss=" in event["message"] for event in events
    )
    execution = result["outcome"]["arn"].rsplit("/", 1)[-1]
    lines = [event["message"] for event in events if " steps." in event["message"]]
    assert all(f" train {execution} {job_name} steps." in line for line in lines)


def test_mlflow_has_the_curve_of_the_training_job(
    environment: Environment, result: dict[str, Any]
) -> None:
    experiments = environment.workspace.experiments
    experiment = experiments.get_by_name("/Shared/governed-finetune-local").experiment
    assert experiment is not None
    runs = [
        run
        for run in experiments.search_runs(experiment_ids=[str(experiment.experiment_id)])
        if run.info
    ]
    tags = {str(tag.key): tag.value for tag in (runs[0].data.tags if runs[0].data else None) or []}
    job_name = environment.steps(result["outcome"]["arn"])["Train"]["Metadata"]["TrainingJob"][
        "Arn"
    ].rsplit("/", 1)[-1]
    assert tags["governed_finetune.training_job"] == job_name
    assert tags["governed_finetune.execution_arn"] == result["outcome"]["arn"]
    run_id = str(runs[0].info.run_id if runs[0].info else "")
    assert [point.step for point in experiments.get_history("train_loss", run_id=run_id)] == list(
        range(1, 31)
    )
    (best,) = experiments.get_history("best_eval_loss", run_id=run_id)
    assert best.value == pytest.approx(result["outcome"]["eval_loss"], abs=1e-3)
    version = environment.workspace.api_client.do(
        "GET",
        "/api/2.0/mlflow/unity-catalog/model-versions/get",
        query={"name": "edgar.models.risk_analyst", "version": "1"},
    )
    tags = version["model_version"]["tags"]  # type: ignore[call-overload]
    assert {"key": "mlflow_run_id", "value": run_id} in tags


def test_lineage_walks_back_from_the_model_version_to_the_raw_table(
    environment: Environment,
) -> None:
    training, curated, preparing, raw = environment.chain("edgar.models.risk_analyst", "1")
    assert len(training) == 1
    assert all(name.startswith("ft_") for name in training | preparing)
    assert (curated, raw) == ({"edgar.curated.risk_factor_examples"}, {"edgar.raw.filings"})


def test_deploying_the_same_commit_again_changes_nothing(environment: Environment) -> None:
    ci = environment.scientist | environment.role("ci")
    again = environment.command("pipeline.upsert", "--env", "local", "--json", role=ci)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["action"] == "unchanged"
    difference = environment.command("pipeline.upsert", "--env", "local", "--diff", role=ci)
    assert difference.returncode == 0, difference.stdout


def test_no_secret_is_in_anything_the_run_left(environment: Environment) -> None:
    """Search for every secret of the run in every file except those that store secrets."""
    names = ("prepare", "train", "register", "scientist")
    secrets = environment.client("secretsmanager", environment.root)
    canaries = [
        json.loads(
            secrets.get_secret_value(SecretId=f"governed-finetune-local/databricks/{name}")[
                "SecretString"
            ]
        )["clientSecret"].encode()
        for name in names
    ]
    held = {environment.state / "aws" / "services", environment.state / "workspace" / "admin.json"}
    leaks = [
        str(path)
        for path in environment.state.rglob("*")
        if path.is_file()
        and not any(holder == path or holder in path.parents for holder in held)
        and any(canary in path.read_bytes() for canary in canaries)
    ]
    assert leaks == []


def test_a_second_up_finds_the_environment_running(
    first_run: FirstRun, environment: Environment
) -> None:
    status = json.loads(local(first_run[0], "status", "--json").stdout)
    again = local(first_run[0], "up")
    assert again.returncode == 0, again.stderr
    assert json.loads(local(first_run[0], "status", "--json").stdout) == status
