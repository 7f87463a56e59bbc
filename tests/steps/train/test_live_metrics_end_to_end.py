"""The whole step with live metrics: what MLflow shows during training and after it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steps.governance.documents.manifest import Trained
from steps.train.stopping import Stopped
from steps.train.tracking import described, metric_lines
from steps.train.tracking.tracker import Untracked, tracked
from tests.steps.train.support.curated_table import ARN, NAME
from tests.steps.train.support.experiments_server import ExperimentsServer, serving, workspace
from tests.steps.train.support.jobs import TRAINED, job, run, sigterm_after_step

pytestmark = pytest.mark.torch

PREFIX = "governed_finetune."


@pytest.fixture
def server() -> Iterator[ExperimentsServer]:
    with serving() as started:
        yield started


@pytest.fixture
def tracked_job(
    server: ExperimentsServer, tiny_model: Path, curated: Path, tmp_path: Path
) -> SimpleNamespace:
    made = job(
        tmp_path / "ml", tiny_model, curated, mlflow_experiment="/Shared/governed-finetune-test"
    )
    made.services = replace(made.services, workspace=workspace(server))
    return made


def test_a_finished_job_is_a_finished_run_with_curve_origin_and_manifest(
    server: ExperimentsServer, tracked_job: SimpleNamespace
) -> None:
    run(tracked_job)
    assert len(server.runs) == 1
    assert (server.runs[0]["info"]["run_name"], server.runs[0]["info"]["status"]) == (
        f"{ARN.rsplit('/', 1)[-1]} rank 8, rate 0.01, seed 17",
        "FINISHED",
    )
    assert [step for step, _ in server.values("train_loss")] == [1, 2, 3, 4]
    trained = Trained.from_bytes(tracked_job.evidence.documents[TRAINED], origin="evidence")
    assert trained.mlflow_run_id == "run-0"
    assert server.values("best_eval_loss") == [(4, trained.metrics.eval_loss)]
    assert server.values("eval_loss") == [
        (0, trained.metrics.eval_loss_before),
        (4, trained.metrics.eval_loss),
    ]
    tags = {key.removeprefix(PREFIX): value for key, value in server.tags().items()}
    assert tags == {
        "training_job": "train-1",
        "execution_arn": ARN,
        "curated_table": NAME,
        "curated_version": "0",
        "base_model": trained.base_model.name,
        "base_model_revision": trained.base_model.revision,
        "fp8_requested": "auto",
        "fp8_effective": trained.fp8.effective,
        "fp8_dtype": trained.fp8.dtype,
        "fp8_device": trained.fp8.device,
        "manifest_sha256": trained.sha256,
        "gate": described.gate(tracked_job.arguments, trained.metrics.eval_loss),
    }
    (data,) = server.runs[0]["inputs"]
    assert data["dataset"]["name"] == f"{NAME}@0"
    assert data["dataset"]["digest"] == trained.data.manifest_sha256[:36]
    assert json.loads(data["dataset"]["source"])["is_databricks_uc_table"]
    assert trained.mlflow_experiment_id == "1"
    assert server.runs[0]["params"]["lora_rank"] == "8"
    sent = str(server.received)
    assert not [word for word in ("127.0.0.1", "secret", "s3://", "analyst") if word in sent]


def test_a_stopped_job_is_a_killed_run_that_continues_when_the_job_starts_again(
    server: ExperimentsServer, tracked_job: SimpleNamespace
) -> None:
    with sigterm_after_step(1) as stop, pytest.raises(Stopped):
        run(tracked_job, stop)
    assert server.runs[0]["info"]["status"] == "KILLED"
    assert {step for step, _ in server.values("train_loss")} < {1, 2, 3, 4}
    run(tracked_job)
    assert (len(server.runs), server.runs[0]["info"]["status"]) == (1, "FINISHED")
    assert [step for step, _ in server.values("train_loss")] == [1, 2, 3, 4], (
        "resumed: no step is trained twice"
    )


def test_a_failed_job_is_a_failed_run(
    server: ExperimentsServer, tracked_job: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_lines, "report_step", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tracked_job)
    assert server.runs[0]["info"]["status"] == "FAILED"


def test_a_job_whose_workspace_refuses_metrics_finishes(
    server: ExperimentsServer, tracked_job: SimpleNamespace
) -> None:
    server.trouble = [("experiments/create", 403)]
    run(tracked_job)
    assert server.runs == []
    assert (
        Trained.from_bytes(tracked_job.evidence.documents[TRAINED], origin="evidence").mlflow_run_id
        is None
    )
    report = json.loads((tracked_job.paths.model / "report.json").read_text())
    refused, lost = report["live_metrics"]["problems"]
    right = (
        "CAN EDIT on the experiment /Shared/governed-finetune-test (on its folder, if it does not"
    )
    assert right in refused
    assert "values did not reach the MLflow run; the job's log has them all" in lost


@pytest.mark.parametrize(
    ("experiment", "leader"), [("none", True), ("/Shared/governed-finetune-test", False)]
)
def test_without_an_experiment_or_outside_the_leader_nothing_is_tracked(
    tiny_model: Path, curated: Path, tmp_path: Path, experiment: str, *, leader: bool
) -> None:
    made = job(tmp_path / "ml", tiny_model, curated, mlflow_experiment=experiment)
    nowhere: Any = object()
    with tracked(
        made.arguments, nowhere, training_job="train-1", prepared=nowhere, leader=leader
    ) as tracker:
        assert isinstance(tracker, Untracked)
        tracker.log(1, {"train_loss": 1.0})
        assert (tracker.run_id, tracker.problems) == (None, [])


@pytest.mark.parametrize(
    ("loss", "stated"),
    [
        (2.5, "passed"),
        (2.5000001, "passed"),  # as its metric line states it
        (2.6, "rejected: eval loss 2.6 is not within MaxEvalLoss 2.5"),
        (float("nan"), "rejected: eval loss nan is not within MaxEvalLoss 2.5"),
    ],
)
def test_a_run_states_what_gate_decides(
    tiny_model: Path, curated: Path, tmp_path: Path, loss: float, stated: str
) -> None:
    made = job(tmp_path / "ml", tiny_model, curated, max_eval_loss="2.5")
    assert described.gate(made.arguments, loss) == stated
