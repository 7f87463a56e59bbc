"""An image as it would be if it were built now from the work tree: its build.json and its digest.

    image = built(repository, state, "000000000000.dkr.ecr.us-east-1.amazonaws.com/…/train:local")
    image.variables    # {"GOVERNED_FINETUNE_BUILD": "<state>/images/train-0a1b2c3d4e5f/build.json"}
    image.digest       # "sha256:…"

No image is built here: a job runs the work tree's code. So the digest is over what the image would
hold: build.json, the Dockerfile, and each file that its COPY lines name. Another byte in one of
them gives another digest, as it would with Docker, though not the same one.
"""

import hashlib
import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.local.aws.errors import Invalid
from pipeline.local.aws.processes.images import dockerfile_of, name_of

VARIABLE = "GOVERNED_FINETUNE_BUILD"  # read by steps/governance/documents/builds.py
_COPY = re.compile(r"^COPY\s+(\S+)\s+\S+\s*$", re.MULTILINE)
_LEFT_OUT = "__pycache__"  # what Python compiled on this machine
_GIT_SECONDS = 30.0


@dataclass(frozen=True)
class BuiltImage:
    """`build` is the path of the image's build.json, `digest` is `sha256:` and 64 hex digits."""

    build: Path
    digest: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment variable by which a process finds its build.json outside an image."""
        return {VARIABLE: str(self.build)}


def built(repository: Path, state: Path, image: str) -> BuiltImage:
    """Write the build.json of an image below `state` and return its path and the image's digest.

    The folder's name has the digest, so a running job keeps its own file when the code changes.

    Raises:
        Invalid: no Dockerfile belongs to the image, or it has no requirements.txt.
    """
    dockerfile = dockerfile_of(repository, image)
    content = _canonical(_build(repository, dockerfile.with_name("requirements.txt")))
    digest = _digest(repository, dockerfile, content)
    folder = state / "images" / f"{name_of(image)}-{digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{secrets.token_hex(4)}"
    part.write_bytes(content)
    os.replace(part, folder / "build.json")
    return BuiltImage(folder / "build.json", f"sha256:{digest}")


def _build(repository: Path, lock: Path) -> dict[str, Any]:
    """Return the fields of build.json (steps/governance/documents/reading.py, Build)."""
    if not lock.is_file():
        raise Invalid(f"expected {lock.relative_to(repository)} in the repository, found none")
    known: dict[str, Any] = {"lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest()}
    top = _git(repository, "rev-parse", "--show-toplevel")
    commit = _git(repository, "rev-parse", "--verify", "HEAD")
    if top is None or commit is None or Path(top).resolve() != repository.resolve():
        return known | {"clean": False}  # an unpacked release: no commit, and nothing to compare
    changed = _git(repository, "status", "--porcelain")
    return known | {"git_commit": commit, "clean": changed == ""}


def _digest(repository: Path, dockerfile: Path, build: bytes) -> str:
    text = dockerfile.read_text()
    files = {path for source in _COPY.findall(text) for path in _files(repository / source)}
    total = hashlib.sha256(hashlib.sha256(build).digest())
    for path in sorted({dockerfile, *files}):
        name = path.relative_to(repository).as_posix().encode()
        total.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    for path in source.rglob("*"):
        if path.is_file() and _LEFT_OUT not in path.parts:
            yield path


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _git(repository: Path, *words: str) -> str | None:
    """Return git's answer, or None without git or without a repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=_GIT_SECONDS,
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
