"""The last compiled definition of each environment, kept for `upsert --dry-run` only.

    definition = compile_cache.compiled(config, compile_definition)

Compiling takes 5 s of CPU time, most of it the SDK's import. The kept definition is used only if
nothing that it depends on has changed: the configuration with its variables filled in, every file
of pipeline/, the installed packages with their versions, and Python. Nothing else uses it:
`upsert` and `upsert --diff` always compile. docs/decisions/016-compile-cache.md has the reasons.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.command import note
from pipeline.configuration.config import Config, tree

_PIPELINE = Path(__file__).resolve().parents[1]


def compiled(config: Config, compile_definition: Callable[[Config], str]) -> str:
    """Return the kept definition if its key is still right, and name its file on stderr. Otherwise
    compile, keep the definition and return it."""
    path, key = _folder() / f"definition-{config.environment}.json", _key(config)
    kept = _read(path, key)
    if kept is not None:
        note(f"nothing has changed since the last dry run; its definition is printed from {path}")
        return kept
    definition = compile_definition(config)
    _write(path, {"key": key, "sha256": _sha256(definition), "definition": definition})
    return definition


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "governed-finetune"


def _key(config: Config) -> str:
    packages = {
        entry.name
        for folder in map(Path, filter(None, sys.path))
        if folder.is_dir()
        for entry in folder.glob("*.dist-info")  # NAME-VERSION.dist-info
    }
    files = {str(path): _sha256(path.read_text()) for path in _PIPELINE.rglob("*.py")}
    parts = [tree(config), files, sorted(packages), sys.version]
    return _sha256(json.dumps(parts, sort_keys=True))


def _read(path: Path, key: str) -> str | None:
    """The kept definition, or None if the file is missing, damaged or has another key."""
    try:
        kept = json.loads(path.read_bytes())
        definition = str(kept["definition"])
        whole = (kept["key"], kept["sha256"]) == (key, _sha256(definition))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return definition if whole else None


def _write(path: Path, kept: dict[str, Any]) -> None:
    """Replace the file in one step: another dry run never reads half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            json.dump(kept, file)
        Path(file.name).replace(path)
    except OSError as error:
        note(f"the definition is not kept for the next dry run: {error}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
