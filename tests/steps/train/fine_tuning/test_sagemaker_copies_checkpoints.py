"""SageMaker copies the checkpoint folder while we write it; its marker files are ignored."""

import os
from pathlib import Path
from typing import Any

import pytest

from steps.train.fine_tuning.checkpoints import Checkpoints
from steps.train.fine_tuning.history import History

MARKERS = (".sagemaker-uploading", ".sagemaker-uploaded")


def sealed(store: Checkpoints, step: int) -> Path:
    """Write a complete state, with the markers that SageMaker adds meanwhile."""
    folder = store.path(step)
    with store.writing(step):
        folder.mkdir()
        (folder / "optimizer.pt").write_bytes(b"state")
        for marker in MARKERS:
            (folder / f"optimizer.pt{marker}").touch()
        store.seal(step, History())
    return folder


def test_a_state_is_complete_without_the_markers_that_existed_when_it_was_sealed(
    tmp_path: Path,
) -> None:
    store = Checkpoints(tmp_path, {"seed": 1})
    folder = sealed(store, 5)
    for marker in MARKERS:
        # Markers are not copied to S3, so a restarted job does not find them.
        (folder / f"optimizer.pt{marker}").unlink()
    resumed = Checkpoints(tmp_path, {"seed": 1}).latest()
    assert resumed is not None
    assert resumed.step == 5


def test_a_marker_that_appears_during_removal_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, remove_folder = Checkpoints(tmp_path, {"seed": 1}), os.rmdir
    folder = sealed(store, 5)

    def marker_appears(path: Any, **words: Any) -> None:
        (folder / f"optimizer.pt{MARKERS[0]}").touch()
        remove_folder(path, **words)

    monkeypatch.setattr(os, "rmdir", marker_appears)
    store.prune(keep=set())
    assert store.latest() is None
    monkeypatch.undo()
    store.prune(keep=set())
    assert not folder.exists()
