"""The first step trains: warm-up begins above 0, and a run of one step changes the adapter."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from steps.train.fine_tuning import trainer_settings
from steps.train.fine_tuning.evaluation import Evaluation
from steps.train.fine_tuning.held_out.decisive import no_better
from tests.steps.train.support.jobs import job, printed_lines, run

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(("steps", "warm_up"), [(1, 1), (2, 1), (100, 3), (5, 0)])
def test_every_step_has_a_rate_above_zero(steps: int, warm_up: int) -> None:
    rates = [trainer_settings.rate(n, warm_up=warm_up, steps=steps) for n in range(steps)]
    assert all(0 < each <= 1 for each in rates)
    assert rates[: warm_up + 1] == sorted(rates[: warm_up + 1])
    assert rates[warm_up:] == sorted(rates[warm_up:], reverse=True)


def test_one_step_changes_the_adapter(tiny_model: Path, curated: Path, tmp_path: Path) -> None:
    one = job(tmp_path / "ml", tiny_model, curated, max_steps="1")
    run(one)
    adapters = load_file(one.paths.model / "adapter_model.safetensors")
    changed = [name for name, tensor in adapters.items() if "lora_B" in name and tensor.any()]
    assert changed == [name for name in adapters if "lora_B" in name]
    report = json.loads((one.paths.model / "report.json").read_text())
    assert report["curve"][0]["learning_rate"] == pytest.approx(0.005)  # half of the peak
    assert report["warnings"] == []


def test_a_model_that_is_not_better_is_named_in_log_report_and_card(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steps.train.fine_tuning import fine_tune

    losses = iter([2.0, 2.5])
    monkeypatch.setattr(fine_tune, "evaluate", lambda *_, **__: Evaluation(next(losses), 10))
    worse = job(tmp_path / "ml", tiny_model, curated, max_steps="1")
    with printed_lines() as lines:
        run(worse)
    warning = "the tuned model is not better than its base: 2.5 against 2 nats per target token"
    assert f"[info] {warning}" in lines
    for name in ("report.json", "report.html", "README.md"):
        assert warning in (worse.paths.model / name).read_text(), name


def test_an_equal_loss_is_not_better() -> None:
    assert no_better(Evaluation(2.0, 1), Evaluation(2.0, 1))
    assert no_better(Evaluation(2.0, 1), Evaluation(1.9, 1)) == ""
