"""A full disk is reported as such, never as tampering or as an error of the storage."""

import errno
import json
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from steps.governance import full_disk
from steps.governance.errors import IntegrityError
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Table
from steps.train import __main__ as command
from steps.train import job, services
from steps.train.data import verified_table
from steps.train.export import model_folder
from steps.train.paths import LARGER_VOLUME
from tests.steps.train.support.curated_table import (
    ARN,
    NAME,
    TABLE_ID,
    LocalAccess,
    commit,
    prepared,
)

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
NO_FOLDER = FileNotFoundError(
    errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp']"
)


def raising(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize("error", [FULL, NO_FOLDER], ids=["no space", "no temporary folder"])
def test_a_disk_too_small_for_the_spool_is_not_reported_as_tampering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    commit(tmp_path / "curated", ARN)
    manifest = prepared(tmp_path / "curated", ARN, 0)
    monkeypatch.setattr(verified_table, "_SPOOL_BYTES", 1)  # so that the first chunk needs a file
    monkeypatch.setattr(tempfile, "TemporaryFile", raising(error))
    table = Table(UcName.parse(NAME), TABLE_ID, str(tmp_path / "curated"))
    with pytest.raises(
        full_disk.DiskFull,
        match=r"this job's disk is full\n(.*\n)*  do        raise train.volume_gib",
    ):
        list(verified_table.stream(manifest, table, LocalAccess(), execution_arn=ARN))


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        NO_FOLDER,
        # what safetensors 0.8 raises: no OSError, no number
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
    ids=["no space", "no temporary folder", "safetensors"],
)
def test_every_wording_of_a_full_disk_is_recognized(error: Exception) -> None:
    with pytest.raises(full_disk.DiskFull), full_disk.explained(do=LARGER_VOLUME):
        raise error


def test_other_errors_pass_unchanged() -> None:
    for error in (
        OSError(errno.EIO, "I/O"),
        ValueError("x"),
        IntegrityError("a file contains: No space left on device"),
    ):
        with pytest.raises(type(error)) as raised, full_disk.explained(do=LARGER_VOLUME):
            raise error
        assert raised.value is error


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folders of a job. Its hyperparameters are not parsed here."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setenv("TRAINING_JOB_NAME", "train-1")
    hyperparameters = tmp_path / "input" / "config" / "hyperparameters.json"
    hyperparameters.parent.mkdir(parents=True)
    hyperparameters.write_text(json.dumps({}))
    parsed = SimpleNamespace(execution_id="4x7k2m9p1q0z", needs_bitsandbytes=False)
    monkeypatch.setattr(command.hyperparameters, "parse", lambda _: parsed)
    monkeypatch.setattr(services, "connect", lambda arguments, stop: None)
    monkeypatch.setattr(command.StopSignal, "listen", command.StopSignal)
    return tmp_path


def staging(*_: object, **__: object) -> None:
    with model_folder.staged(command.Paths.from_environment().model):
        raise AssertionError("there was room")


def test_staging_on_a_full_disk_is_reported_in_the_failure_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "train", staging)
    monkeypatch.setattr(tempfile, "mkdtemp", raising(FULL))
    assert command.main([]) == 1
    reason = (root / "output" / "failure").read_text()
    assert reason.startswith("this job's disk is full")
    assert "train.volume_gib" in reason


def test_a_disk_too_full_for_the_failure_file_still_leaves_the_reason_in_the_log(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job, "train", raising(FULL))
    monkeypatch.setattr(Path, "write_text", raising(FULL))
    assert command.main([]) == 1
    log = capsys.readouterr().err
    assert "this job's disk is full" in log
    assert "failure could not be written" in log


@pytest.mark.torch
def test_a_disk_that_fills_while_a_checkpoint_is_saved_leaves_no_half_of_it(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from tests.steps.train.support import jobs

    full = jobs.job(tmp_path / "ml", tiny_model, curated, eval_steps="2")
    save = torch.save

    def fills(content: object, path: str, *arguments: object, **options: object) -> None:
        if "checkpoint-4" in str(path):
            raise RuntimeError(
                f"[enforce fail at inline_container.cc] . PytorchStreamWriter failed: {FULL}"
            )
        save(content, path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch, "save", fills)
    with (
        pytest.raises(full_disk.DiskFull, match=r"raise train.volume_gib"),
        full_disk.explained(do=LARGER_VOLUME),
    ):
        jobs.run(full)
    assert [path.name for path in full.paths.checkpoints.iterdir()] == ["checkpoint-2"], (
        "the checkpoint before it is kept"
    )
    jobs.assert_nothing_published(full)
