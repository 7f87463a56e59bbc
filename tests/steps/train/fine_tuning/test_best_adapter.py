"""The choice of the best adapter, early stopping, and the last eval loss in the log."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from steps.governance.errors import IntegrityError
from steps.train.fine_tuning import fine_tune
from steps.train.fine_tuning.evaluation import Evaluation
from steps.train.fine_tuning.history import EvaluationAtStep, History
from steps.train.tracking import metric_lines
from tests.steps.train.support.jobs import assert_nothing_published, job, printed_lines, run

pytestmark = pytest.mark.torch

ADAPTER = "adapter_model.safetensors"


def losses(*values: float) -> Callable[..., Evaluation]:
    """Return a replacement of `evaluate` that returns these losses in turn."""
    following = iter(values)
    return lambda *_, **__: Evaluation(next(following), 10)


def test_the_best_evaluated_adapter_is_the_result_and_its_loss_the_last_line(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Before training, after steps 1 to 4, and for the best adapter after it is loaded.
    monkeypatch.setattr(fine_tune, "evaluate", losses(7.0, 5.0, 3.0, 4.0, 4.5, 3.0))
    tuned = job(tmp_path / "ml", tiny_model, curated, eval_steps="1")
    with printed_lines() as lines:
        run(tuned)
    ours = load_file(tuned.paths.model / ADAPTER)
    theirs = load_file(tuned.paths.checkpoints / "checkpoint-2" / ADAPTER)
    assert all(ours[name].equal(theirs[name]) for name in theirs)
    report = json.loads((tuned.paths.model / "report.json").read_text())
    assert (report["metrics"]["best_step"], report["metrics"]["eval_loss"]) == (2, 3.0)
    assert re.findall(metric_lines.PATTERN.format(key="eval_loss"), "\n".join(lines))[-1] == "3"


def test_training_ends_when_patience_evaluations_do_not_improve(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_tune, "evaluate", losses(7.0, 5.0, 5.5, 5.2, 5.0))
    patient = job(
        *(tmp_path / "ml", tiny_model, curated),
        epochs="20",
        max_steps="50",
        eval_steps="1",
        early_stopping_patience="2",
    )
    run(patient)
    report = json.loads((patient.paths.model / "report.json").read_text())
    assert (report["metrics"]["steps"], report["metrics"]["best_step"]) == (3, 1)


def test_a_best_adapter_with_another_loss_after_loading_is_refused(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_tune, "evaluate", losses(7.0, 3.0, 4.0, 3.2))
    tuned = job(tmp_path / "ml", tiny_model, curated, eval_steps="1", max_steps="2")
    with pytest.raises(
        IntegrityError, match=r"the best adapter, of step 1, does not give its loss again"
    ):
        run(tuned)
    assert_nothing_published(tuned)


def history_of(*values: float) -> History:
    return History(
        evaluations=[
            EvaluationAtStep(step, Evaluation(loss, 1)) for step, loss in enumerate(values, 1)
        ]
    )


@pytest.mark.parametrize(
    ("values", "patience", "ended"),
    [
        ((), 1, False),
        ((3.0, 2.0, 1.0), 1, False),
        ((3.0, 3.0), 1, True),  # equal is not better
        ((3.0, 4.0), 2, False),
        ((3.0, 4.0, 5.0), 2, True),
        ((3.0, 4.0, 2.0, 2.5), 2, False),
        ((3.0, 4.0, 5.0), 0, False),
    ],
)
def test_patience_counts_evaluations_since_the_best(
    values: tuple[float, ...], patience: int, ended: bool
) -> None:
    assert history_of(*values).out_of_patience(patience) is ended


def test_a_history_is_read_back_from_json() -> None:
    history = history_of(3.0, 2.0)
    history.before, history.resumed_from = Evaluation(7.0, 9), [4]
    history.curve = [{"step": 1, "train_loss": 6.5}]
    again: Any = History.from_json(history.to_json())
    assert again == history
