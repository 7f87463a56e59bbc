"""Out of memory: smaller passes give the same training, and each new attempt is logged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from steps.train.fine_tuning.out_of_memory import OutOfMemory
from tests.steps.train.support.jobs import assert_nothing_published, job, printed_lines, run

pytestmark = pytest.mark.torch


def device_with_room_for(documents: int, *, from_step: int = 0) -> Callable[..., Any]:
    """Return a training step that fails as on CUDA if a pass has more documents."""
    from steps.train.fine_tuning.trainer import FineTuneTrainer

    step = FineTuneTrainer.training_step

    def limited(trainer: Any, model: Any, inputs: Any, *arguments: Any) -> Any:
        if trainer.state.global_step >= from_step and len(inputs["cu_seq_lens_q"]) - 1 > documents:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has …"
            )
        return step(trainer, model, inputs, *arguments)

    return limited


@pytest.mark.parametrize("from_step", [0, 3])
def test_smaller_passes_give_the_same_training(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_step: int
) -> None:
    from steps.train.fine_tuning.trainer import FineTuneTrainer

    roomy, narrow = (
        job(tmp_path / name, tiny_model, curated, eval_steps="2") for name in ("roomy", "narrow")
    )
    run(roomy)
    monkeypatch.setattr(
        FineTuneTrainer, "training_step", device_with_room_for(5, from_step=from_step)
    )
    with printed_lines() as lines:
        run(narrow)
    logged = [line for line in lines if "out of memory" in line]
    assert len(logged) == 1, "half the rows fit"
    assert ("[info] resuming from checkpoint-2" in lines) == (from_step > 2)
    ours, theirs = (load_file(j.paths.model / "adapter_model.safetensors") for j in (narrow, roomy))
    assert all((ours[name] - theirs[name]).abs().max() < 1e-4 for name in theirs)
    report = json.loads((narrow.paths.model / "report.json").read_text())
    assert [point["step"] for point in report["curve"]] == [1, 2, 3, 4]


def test_a_device_without_memory_for_one_row_is_refused_with_advice(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steps.train.fine_tuning.trainer import FineTuneTrainer

    monkeypatch.setattr(FineTuneTrainer, "training_step", device_with_room_for(0))
    small = job(tmp_path / "ml", tiny_model, curated)
    message = (
        r"no memory for one row\n(.*\n)*  got       CUDA out of memory.*\n.*lower SequenceLength"
    )
    with pytest.raises(OutOfMemory, match=message):
        run(small)
    assert_nothing_published(small)
