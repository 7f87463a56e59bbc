"""The determinism switch reaches torch, and a job that asks for it trains."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.steps.train.support.jobs import job, run

pytestmark = pytest.mark.torch


def in_a_process_of_its_own(mode: str) -> str:
    """What `apply` leaves behind: it is for a whole process."""
    code = (
        f"from steps.train.fine_tuning import trainer_settings; import torch;"
        f"trainer_settings.seed_generators({mode!r}, 17);"
        "print(torch.are_deterministic_algorithms_enabled(), torch.initial_seed())"
    )
    return subprocess.check_output([sys.executable, "-c", code], text=True).strip()


def test_seeded_seeds_and_full_also_forbids_kernels_whose_sums_depend_on_chance() -> None:
    assert [in_a_process_of_its_own(mode) for mode in ("seeded", "full")] == ["False 17", "True 17"]


def test_everything_that_training_does_has_a_deterministic_kernel_here(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steps.train.fine_tuning import trainer_settings

    monkeypatch.setattr(
        trainer_settings,
        "enable_full_determinism",
        lambda seed: torch.use_deterministic_algorithms(True),
    )  # without the environment variables that other tests' processes would inherit
    try:
        run(job(tmp_path / "ml", tiny_model, curated, max_steps="1", determinism="full"))
    finally:
        torch.use_deterministic_algorithms(False)
