"""The model folder, complete or empty: files are made beside it, listed with sha256, and `manifest.json` arrives last.

SageMaker archives the folder even of a job that failed or was stopped, so nothing half-made may ever stand in it.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from steps.governance.evidence import Evidence
from steps.governance.files import sha256_of
from steps.governance.manifest import FileEntry, Trained, TrainingData, TrainingMetrics
from steps.train.export.manifest import Origin
from steps.train.fine_tuning.fine_tune import Tuned

MANIFEST = "manifest.json"
# Taken from the base model byte for byte: the adapter's tokens are the base's tokens.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
)
ALLOWED = {
    *(
        "adapter_model.safetensors",
        "adapter_config.json",
        "report.json",
        "report.html",
        "README.md",
        MANIFEST,
    ),
    *TOKENIZER_FILES,
}


def copy_tokenizer(base_model: Path, folder: Path) -> None:
    """The base's tokenizer files; those that this base does not have are not invented."""
    for name in TOKENIZER_FILES:
        if (base_model / name).exists():
            shutil.copyfile(base_model / name, folder / name)


def manifest(
    origin: Origin, tuned: Tuned, files: list[FileEntry], merged: list[FileEntry] | None
) -> Trained:
    """What this job made, of what, with which result."""
    prepared = origin.prepared
    return Trained(
        schema="governed-finetune/trained/1",
        execution_arn=origin.arguments.execution_arn,
        training_job=origin.training_job,
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        principal=origin.principal,
        data=TrainingData(
            table=prepared.target.table,
            table_id=prepared.target.table_id,
            version=prepared.target.version,
            manifest_sha256=prepared.sha256,
            examples_train=prepared.counts.examples_train,
            examples_eval=prepared.counts.examples_eval,
        ),
        base_model=origin.base,
        fp8=tuned.precision,
        metrics=TrainingMetrics(
            eval_loss_before=tuned.before.loss,
            eval_loss=tuned.best.evaluation.loss,
            eval_tokens=tuned.best.evaluation.tokens,
            train_tokens=tuned.history.tokens,
            steps=tuned.history.steps,
            best_step=tuned.best.step,
            stopped_early=tuned.stopped_early,
            resumed_from=tuned.history.resumed_from,
        ),
        files=files,
        merged=merged,
        mlflow_run_id=origin.live_metrics.mlflow_run_id,
    )


@contextmanager
def staged(model_folder: Path) -> Iterator[Path]:
    """A folder beside the model folder to make files in; it is gone afterwards, whatever happens."""
    model_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=model_folder.parent, prefix=".model-") as folder:
        yield Path(folder)


def entries(folder: Path, *, allowed: set[str] = ALLOWED) -> list[FileEntry]:
    """Every file with size and sha256, by name.

    Raises:
        RuntimeError: a file that does not belong there; by default, one that no model archive may hold.
    """
    names = sorted(path.name for path in folder.iterdir())
    if strays := set(names) - allowed:
        raise RuntimeError(
            f"expected only {sorted(allowed)}, got {sorted(strays)}: name it in the list or do not write it"
        )
    return [_entry(folder / name) for name in names]


def publish(
    folder: Path, model_folder: Path, trained: Trained, *, evidence: Evidence, uri: str
) -> None:
    """Move the files into the model folder, the manifest last, and write the same manifest to evidence.

    If any of it fails, the model folder is empty again.
    """
    with _emptied_on_failure(model_folder):
        for entry in trained.files:
            shutil.move(folder / entry.path, model_folder / entry.path)
        write_manifest(model_folder, trained)
        evidence.write_once(uri, trained.to_bytes())


@contextmanager
def _emptied_on_failure(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for path in folder.iterdir():
            path.unlink()
        raise


def write_manifest(folder: Path, trained: Trained) -> None:
    """Write the manifest whole or not at all: where it stands, the folder is complete."""
    partial = folder / f"{MANIFEST}.partial"
    with partial.open("wb") as file:
        file.write(trained.to_bytes())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / MANIFEST)


def _entry(path: Path) -> FileEntry:
    return FileEntry(path=path.name, size=path.stat().st_size, sha256=sha256_of(path))
