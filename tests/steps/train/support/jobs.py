"""Training jobs for tests: the arguments of `steps.train.job.train`, below one folder."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from steps.governance.documents.reading import Build
from steps.train import arguments
from steps.train.job import train
from steps.train.model.base_model_files import MIRROR
from steps.train.paths import Paths
from steps.train.services import Services
from steps.train.stopping import StopSignal
from steps.train.tracking import metric_lines
from tests.steps.train.support.curated_table import (
    ARN,
    NAME,
    LocalCatalog,
    MemoryEvidence,
    prepared,
)

PREPARED, EVIDENCE = (
    "s3://evidence/executions/x/prepare/manifest.json",
    "s3://evidence/executions/x/train",
)
BUILD = Build(git_commit="c" * 40, clean=True, lock_sha256="d" * 64)
TRAINED = f"{EVIDENCE}/train-1/manifest.json"

CONNECTED = {
    "databricks_host": "http://127.0.0.1",
    "databricks_secret_id": "secret",
    "region": "eu-west-1",
}


def job(root: Path, base: Path, curated: Path, **changes: str) -> SimpleNamespace:
    """Return the arguments of `train` for a job with its folders below `root`."""
    mirror = json.loads((base / MIRROR).read_text())
    (paths := Paths(root)).base_model.parent.mkdir(parents=True)
    paths.base_model.symlink_to(base)
    hyperparameters = {
        "execution_arn": ARN,
        "curated_table": NAME,
        "prepare_manifest_uri": PREPARED,
        "train_evidence_uri": EVIDENCE,
        "epochs": "2",
        "max_steps": "4",
        "learning_rate": "0.01",
        "lora_rank": "8",
        "sequence_length": "256",
        "seed": "17",
        "fp8_mode": "auto",
        "optimizer": "adamw",
        "eval_steps": "50",
        "early_stopping_patience": "0",
        "max_eval_examples": "-1",
        "max_eval_loss": "2.5",
        "determinism": "seeded",
        "merged_export": "none",
        "compile": "off",
        "sharding": "auto",
        "mlflow_experiment": "none",
        "base_model": mirror["name"],
        "base_model_revision": mirror["revision"],
        **CONNECTED,
    }
    evidence = MemoryEvidence({PREPARED: prepared(curated, ARN, 0).to_bytes()})
    return SimpleNamespace(
        texts=(texts := hyperparameters | changes),
        arguments=arguments.parse(texts),
        paths=paths,
        services=Services(LocalCatalog(curated), evidence, None, BUILD),
        evidence=evidence,
    )


def run(job: SimpleNamespace, stop: StopSignal | None = None, *, name: str = "train-1") -> None:
    train(job.arguments, job.paths, job.services, training_job=name, stop=stop or StopSignal())


def assert_nothing_published(job: SimpleNamespace) -> None:
    assert not job.paths.model.exists() or not list(job.paths.model.iterdir())
    assert TRAINED not in job.evidence.documents


@contextmanager
def printed_lines() -> Iterator[list[str]]:
    """Collect the lines that Train prints in this block."""
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metric_lines, "_print", lines.append)
        yield lines


@contextmanager
def sigterm_after_step(step: int) -> Iterator[StopSignal]:
    """Send SIGTERM to this process after the metrics of `step` are printed.

    The next optimizer step is then running.
    """
    report = metric_lines.report_step

    def kill(at: int, **metrics: float) -> None:
        report(at, **metrics)
        if at == step:
            os.kill(os.getpid(), signal.SIGTERM)

    previous = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metric_lines, "report_step", kill)
        try:
            yield StopSignal.listen()
        finally:
            signal.signal(signal.SIGTERM, previous)
