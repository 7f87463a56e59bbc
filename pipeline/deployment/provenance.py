"""The tags that name the code and configuration a definition was compiled from."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from pipeline.configuration.config import Config, tree

COMMIT = "git-commit"
CONFIG = "config-sha256"
DEFINITION = "definition-sha256"
# Which tags come from conf. A tag that conf no longer has is removed, tags of other people are not.
CONFIGURED = "configured-tags"

_ROOT = Path(__file__).resolve().parents[2]


def tags(config: Config, definition: str) -> dict[str, str]:
    """Return the configured tags and those of the definition's origin."""
    return {
        **config.pipeline.tags,
        COMMIT: commit(),
        CONFIG: sha256(tree(config)),
        DEFINITION: sha256(json.loads(definition)),
        CONFIGURED: " ".join(sorted(map(key_digest, config.pipeline.tags))),
    }


def key_digest(key: str) -> str:
    """Return six hex digits of a key's sha256. 36 of them fit into one tag's value of 256."""
    return hashlib.sha256(key.encode()).hexdigest()[:6]


def sha256(value: Any) -> str:
    """Return the sha256 of a JSON value. White space and the order of keys make no difference."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def commit(root: Path = _ROOT) -> str:
    """Return the checked-out commit, `…-dirty` if tracked files differ, or `no-git-checkout`."""
    found = _git(root, "rev-parse", "HEAD")
    if found is None:
        return "no-git-checkout"
    return (
        f"{found}-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else found
    )


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
