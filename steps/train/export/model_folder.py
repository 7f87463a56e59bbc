"""The model folder, which is either complete or empty.

SageMaker archives the folder even of a job that failed or was stopped. So the files are made in a
folder next to it, listed with their sha256 and moved; `manifest.json` is written last.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steps.governance.documents.document import FileEntry
from steps.governance.documents.manifest import Trained
from steps.governance.evidence import Evidence
from steps.governance.files import sha256_of

MANIFEST = "manifest.json"
# Copied from the base model byte for byte: the adapter uses the base's tokens
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
)
ALLOWED = {
    *("adapter_model.safetensors", "adapter_config.json"),
    *("report.json", "report.html", "README.md", MANIFEST),
    *TOKENIZER_FILES,
}


def copy_tokenizer(base_model: Path, folder: Path) -> None:
    """Copy the base's tokenizer files; a base need not have all of them."""
    for name in TOKENIZER_FILES:
        if (base_model / name).exists():
            shutil.copyfile(base_model / name, folder / name)


@contextmanager
def staged(model_folder: Path) -> Iterator[Path]:
    """Yield an empty folder next to the model folder; it is removed at the end in any case."""
    model_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=model_folder.parent, prefix=".model-") as folder:
        yield Path(folder)


def entries(folder: Path, *, allowed: set[str] = ALLOWED) -> list[FileEntry]:
    """Return every file of the folder with size and sha256, sorted by name.

    Raises:
        RuntimeError: a file is not in `allowed`, by default what a model archive may hold.
    """
    names = sorted(path.name for path in folder.iterdir())
    if strays := set(names) - allowed:
        raise RuntimeError(
            f"expected only {sorted(allowed)}, got {sorted(strays)}: "
            "name it in the list or do not write it"
        )
    return [_entry(folder / name) for name in names]


def publish(
    folder: Path, model_folder: Path, trained: Trained, *, evidence: Evidence, uri: str
) -> None:
    """Move the files into the model folder, the manifest last, and write it to evidence too.

    If any of this fails, the model folder is emptied.
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
    """Write the manifest atomically: a folder that holds a manifest is complete."""
    partial = folder / f"{MANIFEST}.partial"
    with partial.open("wb") as file:
        file.write(trained.to_bytes())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / MANIFEST)


def _entry(path: Path) -> FileEntry:
    return FileEntry(path=path.name, size=path.stat().st_size, sha256=sha256_of(path))
