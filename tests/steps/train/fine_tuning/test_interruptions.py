"""Interrupted jobs: SIGTERM at any step, a restart with the same folder, partial checkpoints."""

import hashlib
import json
import random
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steps.governance.errors import Conflict
from steps.train.stopping import Stopped
from tests.steps.train.support.jobs import (
    TRAINED,
    assert_nothing_published,
    job,
    printed_lines,
    run,
    sigterm_after_step,
)

pytestmark = pytest.mark.torch

ADAPTER = "adapter_model.safetensors"
# Three epochs of three steps; evaluations after steps 4, 8 and 9.
LONG = {"epochs": "4", "max_steps": "9", "eval_steps": "4"}


def adapter(job: SimpleNamespace) -> bytes:
    return bytes((job.paths.model / ADAPTER).read_bytes())


def report(job: SimpleNamespace) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((job.paths.model / "report.json").read_text())
    return document


def metrics(report: dict[str, Any]) -> dict[str, float]:
    """Return the report's metrics that an interruption must not change."""
    found = dict(report["metrics"])
    del found["tokens_per_second"], found["resumed_from"]
    return found


@pytest.fixture(scope="module")
def uninterrupted(
    tiny_model: Path, curated: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, SimpleNamespace]:
    finished = {}
    for optimizer in ("adamw", "adamw_8bit"):
        finished[optimizer] = job(
            tmp_path_factory.mktemp(optimizer), tiny_model, curated, **LONG, optimizer=optimizer
        )
        run(finished[optimizer])
    return finished


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_8bit"])
def test_a_restart_after_sigterm_at_any_step_gives_the_same_bytes(
    uninterrupted: dict[str, SimpleNamespace],
    tiny_model: Path,
    curated: Path,
    tmp_path: Path,
    optimizer: str,
) -> None:
    step = random.randint(1, 8)  # noqa: S311 - the message names it
    interrupted = job(tmp_path / "ml", tiny_model, curated, **LONG, optimizer=optimizer)
    with sigterm_after_step(step) as stop, pytest.raises(Stopped):
        run(interrupted, stop)
    assert_nothing_published(interrupted)
    with printed_lines() as lines:
        run(interrupted)
    assert (
        f"[info] resuming from checkpoint-{step}" in lines
        or f"[info] resuming from checkpoint-{step + 1}" in lines
    )
    whole = uninterrupted[optimizer]
    assert adapter(interrupted) == adapter(whole), f"SIGTERM after step {step}"
    assert metrics(report(interrupted)) == metrics(report(whole))
    assert report(interrupted)["metrics"]["resumed_from"] in ([step], [step + 1])
    curves = [[point["train_loss"] for point in report(j)["curve"]] for j in (interrupted, whole)]
    assert curves[0] == curves[1], "the curve has every step once"


def test_an_evaluation_stopped_by_sigterm_is_made_after_the_restart(
    uninterrupted: dict[str, SimpleNamespace],
    tiny_model: Path,
    curated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from steps.train.fine_tuning import fine_tune
    from steps.train.stopping import StopSignal

    stop, calls, evaluate = StopSignal(), [], fine_tune.evaluate

    def interrupted_at_the_second(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            stop.request()
        return evaluate(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(fine_tune, "evaluate", interrupted_at_the_second)
    interrupted = job(tmp_path / "ml", tiny_model, curated, **LONG)
    with pytest.raises(Stopped):
        run(interrupted, stop)
    assert [path.name for path in interrupted.paths.checkpoints.iterdir()] == ["checkpoint-4"]
    run(interrupted)
    assert adapter(interrupted) == adapter(uninterrupted["adamw"])
    assert [e["step"] for e in report(interrupted)["evaluations"]] == [4, 8, 9]


def test_a_restart_after_the_last_step_trains_no_further(
    uninterrupted: dict[str, SimpleNamespace], tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    again = job(tmp_path / "ml", tiny_model, curated, **LONG)
    shutil.copytree(uninterrupted["adamw"].paths.checkpoints, again.paths.checkpoints)
    with printed_lines() as lines:
        run(again)
    assert not [line for line in lines if line.startswith("[train]")]
    assert adapter(again) == adapter(uninterrupted["adamw"])


@pytest.mark.parametrize(
    "damage", ["optimizer.pt removed", "optimizer.pt cut short", "complete.json removed"]
)
def test_a_partial_checkpoint_is_skipped_for_the_previous_one(
    uninterrupted: dict[str, SimpleNamespace],
    tiny_model: Path,
    curated: Path,
    tmp_path: Path,
    damage: str,
) -> None:
    restarted = job(tmp_path / "ml", tiny_model, curated, **LONG)
    with sigterm_after_step(4) as stop, pytest.raises(Stopped):
        run(restarted, stop)
    with sigterm_after_step(6) as stop, pytest.raises(Stopped):
        run(restarted, stop)
    older, newer = (restarted.paths.checkpoints / f"checkpoint-{step}" for step in (4, 7))
    name, what = damage.split(" ", 1)
    if what == "removed":
        (newer / name).unlink()
    else:
        (newer / name).write_bytes((newer / name).read_bytes()[:100])
    with printed_lines() as lines:
        run(restarted)
    assert any(line.startswith(f"[info] {newer.name} is skipped: {name}") for line in lines)
    assert f"[info] resuming from {older.name}" in lines
    assert adapter(restarted) == adapter(uninterrupted["adamw"])


def test_a_checkpoint_of_another_configuration_is_refused_with_the_difference(
    uninterrupted: dict[str, SimpleNamespace], tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    other = job(tmp_path / "ml", tiny_model, curated, **(LONG | {"learning_rate": "0.02"}))
    shutil.copytree(uninterrupted["adamw"].paths.checkpoints, other.paths.checkpoints)
    message = (
        r"is of another configuration\n"
        r"  expected  learning_rate 0.02\n  got       learning_rate 0.01\n"
    )
    with pytest.raises(Conflict, match=message):
        run(other)
    assert_nothing_published(other)


def test_only_the_best_and_the_newest_checkpoint_are_kept(
    uninterrupted: dict[str, SimpleNamespace],
) -> None:
    evaluations = report(uninterrupted["adamw"])["evaluations"]
    best = min(evaluations, key=lambda e: e["eval_loss"])["step"]
    kept = {path.name for path in uninterrupted["adamw"].paths.checkpoints.glob("checkpoint-*")}
    assert kept == {f"checkpoint-{best}", "checkpoint-9"}


def test_a_checkpoint_holds_no_base_weights_and_no_pickled_arguments(
    uninterrupted: dict[str, SimpleNamespace],
) -> None:
    names = {
        path.name for path in (uninterrupted["adamw"].paths.checkpoints / "checkpoint-9").iterdir()
    }
    assert names == {
        *("adapter_model.safetensors", "adapter_config.json"),
        *("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"),
        *("history.json", "complete.json", "evaluation.json"),
    }


def test_a_restart_after_the_manifest_was_written_publishes_the_same_bytes(
    tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    """SageMaker stopped the instance during the upload: only checkpoints and evidence remain."""
    lost = job(tmp_path / "ml", tiny_model, curated, max_steps="2")
    run(lost)
    manifest = (lost.paths.model / "manifest.json").read_bytes()
    shutil.rmtree(lost.paths.model)
    with printed_lines() as lines:
        run(lost)
    assert "[info] publishing what an earlier start of this job was about to publish" in lines
    assert (lost.paths.model / "manifest.json").read_bytes() == manifest
    assert json.loads(manifest)["files"] == [
        {
            "path": path.name,
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(lost.paths.model.iterdir())
        if path.name != "manifest.json"
    ]


@pytest.mark.parametrize(
    "damage", ["README.md removed", "report.json altered", "manifest.json cut short"]
)
def test_a_partial_kept_publication_is_written_again(
    tiny_model: Path, curated: Path, tmp_path: Path, damage: str
) -> None:
    restarted = job(tmp_path / "ml", tiny_model, curated, max_steps="1")
    run(restarted)
    shutil.rmtree(restarted.paths.model)
    restarted.evidence.documents.pop(TRAINED)  # the manifest had not been written yet
    kept, how = damage.split(" ", 1)
    path = restarted.paths.checkpoints / "publication" / kept
    {
        "removed": path.unlink,
        "altered": lambda: path.write_text("{}"),
        "cut short": lambda: path.write_text("{"),
    }[how]()
    run(restarted)
    assert (
        restarted.evidence.documents[TRAINED]
        == (restarted.paths.model / "manifest.json").read_bytes()
    )


def test_another_job_publishes_its_own_manifest(
    tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    lost = job(tmp_path / "ml", tiny_model, curated, max_steps="1")
    run(lost)
    shutil.rmtree(lost.paths.model)
    run(lost, name="train-2")
    assert (
        json.loads((lost.paths.model / "manifest.json").read_bytes())["training_job"] == "train-2"
    )
