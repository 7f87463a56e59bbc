"""The commit a definition came from, as a tag tells it."""

import subprocess
from pathlib import Path

from pipeline.deployment import provenance


def git(root: Path, *words: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(root), *identity, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_commit_is_named_and_a_changed_file_makes_it_dirty(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "one")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert provenance.commit(tmp_path) == head
    (tmp_path / "untracked").write_text("x")
    assert provenance.commit(tmp_path) == head
    (tmp_path / "file").write_text("2")
    assert provenance.commit(tmp_path) == f"{head}-dirty"


def test_a_folder_that_is_no_checkout_says_so(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("not a checkout")
    assert provenance.commit(tmp_path) == "no-git-checkout"


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert provenance.sha256({"a": 1, "b": [2]}) == provenance.sha256({"b": [2], "a": 1})
    assert provenance.sha256({"a": 1}) != provenance.sha256({"a": 2})
