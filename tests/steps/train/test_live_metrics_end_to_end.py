"""The whole step with live metrics: what a person sees in MLflow while it trains and when it has ended."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from steps.governance.manifest import Trained
from steps.train import progress
from steps.train.job import Services
from steps.train.stopping import Stopped, StopSignal
from steps.train.tracking import Untracked, tracked
from tests.steps.train.curated import ARN, NAME
from tests.steps.train.experiments_server import ExperimentsServer, serving, workspace
from tests.steps.train.jobs import EVIDENCE, job, run

pytestmark = pytest.mark.torch

PREFIX = "governed_finetune."


@pytest.fixture
def server() -> Iterator[ExperimentsServer]:
    with serving() as started:
        yield started


@pytest.fixture
def tracked_job(server: ExperimentsServer, tiny_model: Path, curated: Path, tmp_path: Path) -> SimpleNamespace:
    made = job(tmp_path / "ml", tiny_model, curated, mlflow_experiment="/Shared/governed-finetune-test")
    made.services = Services(made.services.catalog, made.services.evidence, workspace(server))
    return made


def test_a_finished_job_is_a_finished_run_with_its_curve_its_origin_and_its_manifest(
    server: ExperimentsServer, tracked_job: SimpleNamespace
) -> None:
    run(tracked_job)
    assert len(server.runs) == 1
    assert (server.runs[0]["info"]["run_name"], server.runs[0]["info"]["status"]) == ("train-1", "FINISHED")
    assert [step for step, _ in server.values("train_loss")] == [1, 2, 3, 4]
    before, after = server.values("eval_loss")
    assert (before[0], after[0]) == (0, 4)
    assert after[1] < before[1]
    trained = Trained.from_bytes(tracked_job.evidence.documents[f"{EVIDENCE}/train-1/manifest.json"], origin="evidence")
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
    }
    assert server.runs[0]["params"]["lora_rank"] == "8"
    sent = str(server.asked)
    assert not [word for word in ("127.0.0.1", "secret", "s3://", "analyst") if word in sent]


def test_a_stopped_job_is_a_killed_run(
    server: ExperimentsServer, tracked_job: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = []

    def report_and_stop(step: int, **_: float) -> None:
        printed.append(step)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(progress, "report_step", report_and_stop)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(Stopped):
            run(tracked_job, StopSignal.listen())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert server.runs[0]["info"]["status"] == "KILLED"
    assert [step for step, _ in server.values("train_loss")] == printed
    assert len(printed) < 4


def test_a_failed_job_is_a_failed_run(
    server: ExperimentsServer, tracked_job: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "report_step", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tracked_job)
    assert server.runs[0]["info"]["status"] == "FAILED"


def test_a_job_whose_workspace_refuses_metrics_finishes_all_the_same(
    server: ExperimentsServer, tracked_job: SimpleNamespace
) -> None:
    server.trouble = [("experiments/create", 403)]
    run(tracked_job)
    assert (tracked_job.paths.model / "manifest.json").exists()
    assert server.runs == []


def test_no_experiment_is_no_thread_no_request_and_no_run(tiny_model: Path, curated: Path, tmp_path: Path) -> None:
    made = job(tmp_path / "ml", tiny_model, curated, mlflow_experiment="none")
    nowhere: object = object()
    with tracked(made.arguments, nowhere, training_job="train-1", prepared=None) as tracker:  # type: ignore[arg-type]
        assert isinstance(tracker, Untracked)
        tracker.log(1, {"train_loss": 1.0})
        assert (tracker.run_id, tracker.problems) == (None, [])
