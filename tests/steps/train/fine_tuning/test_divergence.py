"""A loss or gradient that is not finite ends the job, and the state before it is kept."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from steps.train.model.base_model_files import MIRROR
from tests.steps.train.support.jobs import assert_nothing_published, job, run

pytestmark = pytest.mark.torch


def base_of_nan(tiny_model: Path, base: Path) -> Path:
    """Write the tiny model with NaN in its final norm."""
    base.mkdir()
    for path in tiny_model.iterdir():
        (base / path.name).write_bytes(path.read_bytes())
    weights = load_file(base / "model.safetensors")
    weights["language_model.model.norm.weight"][:] = float("nan")
    save_file(weights, base / "model.safetensors")
    mirror = json.loads((base / MIRROR).read_text())
    for entry in mirror["files"]:
        content = (base / entry["path"]).read_bytes()
        entry |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (base / MIRROR).write_text(json.dumps(mirror))
    return base


def test_a_diverged_run_fails_and_publishes_nothing(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steps.train.fine_tuning import fine_tune
    from steps.train.fine_tuning.divergence import Diverged
    from steps.train.fine_tuning.evaluation import Evaluation

    # A finite evaluation, so that training begins.
    monkeypatch.setattr(fine_tune, "evaluate", lambda *_, **__: Evaluation(2.0, 1))
    diverged = job(tmp_path / "ml", base_of_nan(tiny_model, tmp_path / "base"), curated)
    with pytest.raises(Diverged, match=r"training diverged at step 1\n.*\n  got       loss nan"):
        run(diverged)
    assert_nothing_published(diverged)


def test_a_base_without_a_finite_loss_is_refused_before_training(
    tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    from steps.train.fine_tuning.divergence import Diverged

    broken = job(tmp_path / "ml", base_of_nan(tiny_model, tmp_path / "base"), curated)
    with pytest.raises(
        Diverged,
        match=r"eval loss before training is not finite\n.*\n  got       nan\n.*base model",
    ):
        run(broken)
    assert_nothing_published(broken)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_an_eval_loss_that_is_not_finite_is_reported_as_divergence(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: float
) -> None:
    from steps.train.fine_tuning import fine_tune
    from steps.train.fine_tuning.divergence import Diverged
    from steps.train.fine_tuning.evaluation import Evaluation

    losses = iter([2.0, loss])
    monkeypatch.setattr(fine_tune, "evaluate", lambda *_, **__: Evaluation(next(losses), 1))
    diverged = job(tmp_path / "ml", tiny_model, curated, max_steps="1")
    with pytest.raises(
        Diverged, match=f"at step 1 is not finite\n.*\n  got       {loss}\n.*lower LearningRate"
    ):
        run(diverged)
    assert_nothing_published(diverged)


def test_training_can_resume_from_the_state_before_the_diverged_step(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steps.train.fine_tuning.divergence import Diverged
    from steps.train.fine_tuning.trainer import FineTuneTrainer

    step, good = FineTuneTrainer.training_step, job(tmp_path / "good", tiny_model, curated)
    run(good)

    def poisoned(trainer: Any, model: Any, inputs: Any, *arguments: Any) -> Any:
        loss = step(trainer, model, inputs, *arguments)
        if trainer.state.global_step == 2:
            next(p for p in model.parameters() if p.requires_grad).grad.fill_(float("nan"))
        return loss

    diverged = job(tmp_path / "ml", tiny_model, curated)
    with monkeypatch.context() as patch:
        patch.setattr(FineTuneTrainer, "training_step", poisoned)
        with pytest.raises(
            Diverged, match=r"diverged at step 3\n(.*\n)*.*checkpoint-2 keeps the last good state"
        ):
            run(diverged)
    assert_nothing_published(diverged)
    run(diverged)
    name = "adapter_model.safetensors"
    assert (diverged.paths.model / name).read_bytes() == (good.paths.model / name).read_bytes()
