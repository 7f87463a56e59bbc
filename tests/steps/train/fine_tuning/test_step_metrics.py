"""The metrics of a step. MFU is reported only if the peak of the device is known."""

import re
from pathlib import Path

import pytest

from steps.train.planning import devices
from steps.train.tracking import metric_lines
from tests.steps.train.support.jobs import job, printed_lines, run

pytestmark = pytest.mark.torch

PEAK = 1e12  # operations per second of an imaginary device


def values(lines: list[str], key: str) -> list[float]:
    return [
        float(number)
        for number in re.findall(metric_lines.PATTERN.format(key=key), "\n".join(lines))
    ]


def test_mfu_is_the_share_of_the_peak_that_the_model_used(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    from steps.train.fine_tuning import checkpoints
    from steps.train.fine_tuning.history import History

    monkeypatch.setattr(devices, "peak_flops", lambda name: PEAK)
    measured = job(tmp_path / "ml", tiny_model, curated, eval_steps="4")
    with printed_lines() as lines:
        run(measured)
    assert len(values(lines, "mfu")) == 4
    state = measured.paths.checkpoints / "checkpoint-4"
    assert json.loads((state / checkpoints._COMPLETE).read_bytes())["step"] == 4
    history = History.from_json((state / checkpoints._HISTORY).read_bytes())
    assert values(lines, "mfu")[-1] == pytest.approx(
        history.flops / history.seconds / PEAK, rel=1e-3
    )
    # Linears take most of it: 2 operations per weight and token, forward and backward. The rest
    # is head and attention, and what follows attention in the last layer, for labelled tokens.
    attention, mlp = 128 * (128 + 64 + 64 + 128), 3 * 128 * 384
    first, last = attention + mlp, attention - 128 * 128
    assert 0.5 < history.tokens * 2 * 2 * (first + last) / history.flops < 1
    assert history.tokens * 2 * 2 * 2 * first / history.flops > 1  # not both layers for all tokens


def test_mfu_is_omitted_if_the_peak_is_unknown(
    tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    with printed_lines() as lines:
        run(job(tmp_path / "ml", tiny_model, curated, max_steps="2"))
    assert not values(lines, "mfu")
    of_trainer = ("train_loss", "grad_norm", "learning_rate")
    for key in (*of_trainer, "tokens_per_second", "memory_gib", "eta_seconds"):
        assert len(values(lines, key)) == 2, key
    assert values(lines, "eta_seconds")[-1] == 0
