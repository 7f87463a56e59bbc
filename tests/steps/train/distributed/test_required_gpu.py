"""A job on a GPU instance never trains on the CPU because torch cannot use the GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pipeline.local.aws.training_jobs.container import Container
from steps.governance.errors import UsageError
from steps.train.distributed import cluster, required_gpu
from tests.steps.train.test_hyperparameters import GOOD

pytestmark = pytest.mark.torch
DRIVER = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025\n"
)
TOO_OLD = "The NVIDIA driver on your system is too old (found version 12040). Please update it."


def resources(tmp_path: Path, instance_type: str) -> dict[str, Any]:
    """The embedded AWS's resourceconfig.json for a job on this type."""
    job = {"TrainingJobName": "t", "ResourceConfig": {"InstanceType": instance_type}}
    account: Any = SimpleNamespace(state=tmp_path)
    session: Any = None
    return Container(account, job, (), session)._resources()


def lay_out(tmp_path: Path, instance_type: str) -> None:
    folder = tmp_path / "input" / "config"
    folder.mkdir(parents=True)
    (folder / "hyperparameters.json").write_text(json.dumps(GOOD))
    (folder / "resourceconfig.json").write_text(json.dumps(resources(tmp_path, instance_type)))


def started(tmp_path: Path, **variables: str) -> int:
    environment = os.environ | {"SAGEMAKER_BASE_DIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("AWS_PROFILE", None)
    command = [sys.executable, "-m", "steps.train"]
    done = subprocess.run(command, env=environment | variables, check=False, capture_output=True)
    return done.returncode


def test_a_gpu_instance_without_cuda_is_refused_with_driver_and_build(tmp_path: Path) -> None:
    lay_out(tmp_path, "ml.g5.16xlarge")
    assert started(tmp_path) == 2
    reason = (tmp_path / "output" / "failure").read_text()
    assert "runs on ml.g5.16xlarge, and torch cannot use its GPU" in reason
    assert f"torch {torch.__version__} (built for" in reason
    assert "NVIDIA driver" in reason


@pytest.mark.parametrize(
    ("instance_type", "variables"),
    [("ml.m5.4xlarge", {}), ("ml.g5.16xlarge", {required_gpu.CPU: required_gpu.ALLOWED})],
)
def test_another_instance_and_the_embedded_one_go_on(
    tmp_path: Path, instance_type: str, variables: dict[str, str]
) -> None:
    lay_out(tmp_path, instance_type)
    # The next thing that a job needs and this one does not have: its name
    assert started(tmp_path, TRAINING_JOB_NAME="", **variables) != 0
    assert "torch cannot use" not in (tmp_path / "output" / "failure").read_text()


@pytest.mark.parametrize(
    "instance_type",
    [
        "ml.g4dn.xlarge",
        "ml.gr6.4xlarge",
        "ml.g7e.8xlarge",
        "ml.p5en.48xlarge",
        "ml.p6-b200.48xlarge",
    ],
)
def test_an_old_driver_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance_type: str
) -> None:
    version = tmp_path / "version"
    version.write_text(DRIVER)

    def refuse() -> None:
        raise RuntimeError(TOO_OLD)

    monkeypatch.setattr(required_gpu, "_DRIVER", version)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", refuse)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(UsageError) as refused:
        required_gpu.require(instance_type, bitsandbytes=False, environment={})
    assert "built for CUDA 13.0" in str(refused.value)
    assert f"NVIDIA driver 550.163.01; torch's reason: {TOO_OLD}" in str(refused.value)


@pytest.mark.parametrize("instance_type", [None, "local", "ml.c5.xlarge", "ml.trn1.2xlarge"])
def test_other_types_are_not_checked(
    monkeypatch: pytest.MonkeyPatch, instance_type: str | None
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("torch was asked"))
    required_gpu.require(instance_type, bitsandbytes=False, environment={})


def test_the_embedded_aws_states_the_type_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "resourceconfig.json"
    path.write_text(json.dumps(resources(tmp_path, "ml.g6e.xlarge")))
    assert cluster.read(path).instance_type == "ml.g6e.xlarge"
