"""An export that cannot be finished is refused early or leaves nothing behind."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from steps.governance import full_disk
from steps.governance.errors import IntegrityError, UsageError
from steps.train.export import merged_model, safetensors_writer
from steps.train.model import base_weights
from steps.train.paths import LARGER_VOLUME, Paths
from steps.train.stopping import Stopped, StopSignal

pytestmark = pytest.mark.torch


def job(tuned: SimpleNamespace, root: Path, **changes: str) -> tuple[SimpleNamespace, Paths]:
    paths = Paths(root)
    paths.base_model.parent.mkdir(parents=True)
    paths.base_model.symlink_to(tuned.base)
    return SimpleNamespace(**{"exports_merged": True, "fp8_mode": "auto"} | changes), paths


def files_left(root: Path) -> list[str]:
    return sorted(
        path.name
        for path in root.rglob("*")
        if "input" not in path.relative_to(root).parts and path.is_file()
    )


def test_missing_disk_space_is_reported_before_anything_is_trained_or_written(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, paths = job(tuned, tmp_path)
    needed = sum(shard.size for shard in safetensors_writer.plan(base_weights.shapes(tuned.base)))
    merged_model.require_possible(arguments, paths)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - 1))
    message = (
        f"no room for the merged model\n  expected  {needed} bytes free\n"
        f"  got       {needed - 1}\n.*volume_gib"
    )
    with pytest.raises(full_disk.DiskFull, match=message):
        merged_model.require_possible(arguments, paths)
    with pytest.raises(full_disk.DiskFull, match=message), exporting(tuned, paths):
        raise AssertionError("there was room")
    assert not files_left(tmp_path)


def exporting(tuned: SimpleNamespace, paths: Paths, stop: StopSignal | None = None) -> Any:
    return merged_model.exported(
        paths, tuned.adapters, probe=tuned.probe, stop=stop or StopSignal()
    )


def test_adapters_of_an_nf4_model_are_not_merged_into_the_fp8_base(
    tuned: SimpleNamespace, tmp_path: Path
) -> None:
    arguments, paths = job(tuned, tmp_path, fp8_mode="nf4")
    with pytest.raises(UsageError, match="MergedExport bfloat16 does not go with Fp8Mode nf4"):
        merged_model.require_possible(arguments, paths)
    without_export: Any = SimpleNamespace(exports_merged=False, fp8_mode="nf4")
    merged_model.require_possible(without_export, paths)


def test_a_disk_that_fills_up_during_the_export_leaves_nothing(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, paths = job(tuned, tmp_path)

    def full(path: Path, *_: Any) -> None:
        path.write_bytes(b"half a shard")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors_writer, "write", full)
    with (
        pytest.raises(full_disk.DiskFull, match="disk is full"),
        full_disk.explained(do=LARGER_VOLUME),
        exporting(tuned, paths),
    ):
        raise AssertionError("there was room")
    assert not files_left(tmp_path)
    assert not list((tmp_path / "output").iterdir())


def test_sigterm_during_the_export_ends_it_at_the_next_tensor_and_leaves_nothing(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, paths = job(tuned, tmp_path)
    monkeypatch.setattr(merged_model, "merge", lambda *_: pytest.fail("it continued"))
    with pytest.raises(Stopped), exporting(tuned, paths, StopSignal(requested=True)):
        raise AssertionError("it continued")
    assert not list((tmp_path / "output").iterdir())


def test_an_export_that_answers_differently_leaves_nothing(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, paths = job(tuned, tmp_path)
    # Without its scale
    monkeypatch.setattr(
        merged_model, "merge", lambda weight, delta: weight.tensor.to(torch.bfloat16)
    )
    with pytest.raises(IntegrityError, match="does not answer"), exporting(tuned, paths):
        raise AssertionError("accepted")
    assert not list((tmp_path / "output").iterdir())


def test_a_file_that_no_merged_model_may_hold_is_refused(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, paths = job(tuned, tmp_path)
    monkeypatch.setattr(merged_model, "COPIED", (*merged_model.COPIED, "stray.json"))
    base = Path(shutil.copytree(tuned.base, tmp_path / "base"))
    (base / "stray.json").write_text("{}")
    real = merged_model._allowed
    monkeypatch.setattr(merged_model, "_allowed", lambda folder: real(folder) - {"stray.json"})
    paths.base_model.unlink()
    paths.base_model.symlink_to(base)
    with pytest.raises(RuntimeError, match=r"stray\.json"), exporting(tuned, paths):
        raise AssertionError("accepted")
