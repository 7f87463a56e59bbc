"""Which code and configuration a definition came from: the tags that let an audit find its way back."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from pipeline.config import Config, tree

COMMIT = "git-commit"
CONFIG = "config-sha256"
DEFINITION = "definition-sha256"
CONFIGURED = "configured-tags"  # which tags come from conf, so that one that conf loses can be told from other people's

_ROOT = Path(__file__).resolve().parents[2]


def tags(config: Config, definition: str) -> dict[str, str]:
    """The configured tags, and where this definition came from."""
    return {
        **config.pipeline.tags,
        COMMIT: commit(),
        CONFIG: sha256(tree(config)),
        DEFINITION: sha256(json.loads(definition)),
        CONFIGURED: " ".join(sorted(map(key_digest, config.pipeline.tags))),
    }


def key_digest(key: str) -> str:
    """A tag's key in six hex digits: 36 of them fit one tag's value of 256 characters, however long the keys are."""
    return hashlib.sha256(key.encode()).hexdigest()[:6]


def sha256(value: Any) -> str:
    """The digest of a JSON value, whatever its white space and the order of its keys."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def commit(root: Path = _ROOT) -> str:
    """The checked-out commit, `…-dirty` if tracked files differ from it, or `no-git-checkout`."""
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
