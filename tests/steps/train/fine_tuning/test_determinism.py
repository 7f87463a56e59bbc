"""The parameter Determinism sets up torch, and a job trains with it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.steps.train.support.jobs import job, run

pytestmark = pytest.mark.torch


def settings_in_a_new_process(mode: str) -> str:
    """Return what `seed_generators` sets. It changes the whole process, so use another one."""
    code = (
        f"from steps.train.fine_tuning import trainer_settings; import torch;"
        f"trainer_settings.seed_generators({mode!r}, 17);"
        "print(torch.are_deterministic_algorithms_enabled(), torch.initial_seed())"
    )
    return subprocess.check_output([sys.executable, "-c", code], text=True).strip()


def test_both_modes_seed_and_full_also_requires_deterministic_kernels() -> None:
    assert [settings_in_a_new_process(mode) for mode in ("seeded", "full")] == [
        "False 17",
        "True 17",
    ]


def test_every_operation_of_training_has_a_deterministic_kernel(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steps.train.fine_tuning import trainer_settings

    # Without its environment variables, which processes of other tests would inherit
    monkeypatch.setattr(
        trainer_settings,
        "enable_full_determinism",
        lambda seed: torch.use_deterministic_algorithms(True),
    )
    try:
        run(job(tmp_path / "ml", tiny_model, curated, max_steps="1", determinism="full"))
    finally:
        torch.use_deterministic_algorithms(False)
