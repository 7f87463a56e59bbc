"""SageMaker copies the checkpoint folder while we write it, and lays markers beside our files: they must not count as ours."""

import os
from pathlib import Path
from typing import Any

import pytest

from steps.train.fine_tuning.checkpoints import Checkpoints
from steps.train.fine_tuning.history import History

MARKERS = (".sagemaker-uploading", ".sagemaker-uploaded")


def sealed(store: Checkpoints, step: int) -> Path:
    """A complete state in whose folder SageMaker was at work meanwhile."""
    folder = store.path(step)
    with store.writing(step):
        folder.mkdir()
        (folder / "optimizer.pt").write_bytes(b"state")
        for marker in MARKERS:
            (folder / f"optimizer.pt{marker}").touch()
        store.seal(step, History())
    return folder


def test_a_state_is_complete_without_the_markers_that_lay_there_when_it_was_sealed(
    tmp_path: Path,
) -> None:
    store = Checkpoints(tmp_path, {"seed": 1})
    folder = sealed(store, 5)
    for marker in MARKERS:
        (
            folder / f"optimizer.pt{marker}"
        ).unlink()  # they never reach S3, so a restarted job has none
    resumed = Checkpoints(tmp_path, {"seed": 1}).latest()
    assert resumed is not None
    assert resumed.step == 5


def test_a_marker_that_appears_while_a_state_is_removed_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, remove_folder = Checkpoints(tmp_path, {"seed": 1}), os.rmdir
    folder = sealed(store, 5)

    def too_late(path: Any, **words: Any) -> None:
        (folder / f"optimizer.pt{MARKERS[0]}").touch()
        remove_folder(path, **words)

    monkeypatch.setattr(os, "rmdir", too_late)
    store.prune(keep=set())
    assert store.latest() is None
    monkeypatch.undo()
    store.prune(keep=set())
    assert not folder.exists()
