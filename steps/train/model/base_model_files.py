"""Verify that the base model's files are those of the requested revision, before any is opened.

`mirror.json` is stored next to them:

    {"name", "revision" (40 hex), "files": [{"path", "size", "sha256"}], "licence"}

`licence` is present only if the model's own card names one. scripts/mirror-model writes this file
for a model from the hub, pipeline/local/setup/tiny_model.py for the tiny model of the local
environment.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from steps.governance.documents import canonical
from steps.governance.documents.document import FileEntry, validated
from steps.governance.documents.manifest import BaseModelFiles, Mirror
from steps.governance.errors import IntegrityError
from steps.governance.files import sha256_of

MIRROR = "mirror.json"
_THREADS = 4  # each computes sha256 at 1.5 GB/s, and hashlib releases the GIL


def verify(folder: Path, *, name: str, revision: str) -> BaseModelFiles:
    """Compare every file of the base model in `folder` with mirror.json, byte by byte.

    Raises:
        IntegrityError: the folder holds another model or revision, or a file is missing, is not
            listed or differs.
    """
    content = _read(folder)
    mirror = _parse(content, folder)
    if (mirror.name, mirror.revision) != (name, revision):
        raise IntegrityError(
            "the model channel holds another base model",
            expected=f"{name} at {revision}",
            got=f"{mirror.name} at {mirror.revision}",
            do="set train.base_model and base_model_revision in conf to a mirrored model",
        )
    _compare_names(mirror, folder)
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda entry: _compare(folder, entry), mirror.files))
    return BaseModelFiles(
        name=name,
        revision=revision,
        mirror_sha256=canonical.sha256(content),
        licence=mirror.licence,
    )


def _read(folder: Path) -> bytes:
    try:
        return (folder / MIRROR).read_bytes()
    except FileNotFoundError:
        raise IntegrityError(
            f"the model channel has no {MIRROR}",
            expected="a base model that was mirrored with its digests",
            got=f"{sum(1 for _ in folder.glob('*'))} files without it"
            if folder.is_dir()
            else "no channel named model",
            do="mirror the model again (scripts/mirror-model), "
            "and pass its folder as the channel `model`",
        ) from None


def _parse(content: bytes, folder: Path) -> Mirror:
    try:
        return validated(Mirror, content)
    except ValueError as error:
        raise IntegrityError(
            f"{folder / MIRROR} cannot be trusted",
            expected="name, revision, files",
            got=str(error)[:500],
            do="mirror the model again",
        ) from None


def _compare_names(mirror: Mirror, folder: Path) -> None:
    listed = {entry.path for entry in mirror.files}
    paths = (path for path in folder.rglob("*") if not path.is_dir())
    present = {str(path.relative_to(folder)) for path in paths} - {MIRROR}
    if listed != present:
        raise IntegrityError(
            "the base model's files are not those of its mirror",
            expected="exactly the files that mirror.json lists",
            got=json.dumps(
                {"missing": sorted(listed - present)[:10], "extra": sorted(present - listed)[:10]}
            ),
            do="mirror the model again",
        )


def _compare(folder: Path, entry: FileEntry) -> None:
    path = folder / entry.path
    size = path.stat().st_size
    if size < entry.size:
        raise IntegrityError(
            f"base model file {entry.path} is incomplete",
            expected=f"{entry.size} bytes",
            got=f"{size} bytes",
            do="start a new execution: SageMaker then downloads the channel again. If the file is "
            "still incomplete, mirror the model again",
        )
    digest = sha256_of(path) if size == entry.size else "not computed"
    if digest != entry.sha256:
        raise IntegrityError(
            f"base model file {entry.path} differs from its mirror",
            expected=f"{entry.size} bytes, sha256 {entry.sha256}",
            got=f"{size} bytes, sha256 {digest}",
            do="mirror the model again",
        )
