"""A long tokenizing has lines in the job's log, which `pipeline.run --follow` shows."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.inspection import training_log
from steps.governance.commands import pace
from steps.train import job
from steps.train.stopping import StopSignal
from tests.steps.train.data.test_corpus import batch
from tests.steps.train.support.curated_table import ARN, rows


@pytest.fixture
def lines(
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> list[str]:
    """What the step logs while it makes the corpus; each batch takes `request.param` seconds."""
    now = [0.0]

    def later(work: Any, write: Any) -> pace.Pace:
        return pace.Pace(
            work, write, clock=lambda: now.__setitem__(0, now[0] + request.param) or now[0]
        )

    monkeypatch.setattr("steps.train.data.tokenizing.Pace", later)
    examples = rows(ARN)
    splits = [example["split"] for example in examples]
    counts = SimpleNamespace(
        examples_train=splits.count("train"), examples_eval=splits.count("eval")
    )
    ours: Any = SimpleNamespace(
        own_stop=StopSignal(),
        paths=SimpleNamespace(base_model=tiny_model),
        arguments=SimpleNamespace(sequence_length=256, seed=17),
    )
    batches = iter([batch(examples[:7]), batch(examples[7:])])
    inputs: Any = SimpleNamespace(
        prepared=SimpleNamespace(counts=counts), table=SimpleNamespace(batches=batches)
    )
    with caplog.at_level(logging.INFO, logger="steps"):
        job._corpus(ours, inputs, tmp_path / "corpus")
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("lines", [5.0], indirect=True)
def test_the_log_has_how_many_examples_are_tokenized_of_all(lines: list[str]) -> None:
    every = len(rows(ARN))
    assert (
        lines[0]
        == f"tokenizing 7 of {every} examples · 1.4 examples/s · {(every - 7) / 1.4:.1f} s left"
    )
    assert lines[-1].startswith(f"tokenizing {every} of {every} examples · ")


@pytest.mark.parametrize("lines", [1.0], indirect=True)
def test_a_short_tokenizing_logs_nothing(lines: list[str]) -> None:
    assert lines == []


@pytest.mark.parametrize("lines", [5.0], indirect=True)
def test_following_shows_it_until_the_first_step(lines: list[str]) -> None:
    curve = training_log.curve(
        f"2026-11-30T03:00:00Z INFO train - - steps: {line}" for line in lines
    )
    assert curve.text == lines[-1]
    curve.add("[train] step=1 train_loss=3.2; tokens_per_second=10; eta_seconds=3;")
    assert curve.text.startswith("step 1 · train loss 3.2000")
