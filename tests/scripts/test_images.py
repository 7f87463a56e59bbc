"""scripts/images passes commit and cleanliness to each build, and refuses changes without --dirty.

A program on the PATH takes the place of `docker` and notes its arguments, another that of Python.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "images"
DOCKER = '#!/bin/sh\necho "$@" >> "$DOCKER_LOG"\n'
PYTHON = '#!/bin/sh\necho "$@" >> "$DOCKER_LOG"\necho "sbom-of-$3"\n'
BASES = ("registry", "prepare@sha256:1", "train@sha256:2", "register@sha256:3", "evidence@sha256:4")


@dataclass
class Checkout:
    """A repository of git with the script, and a `docker` that notes what it is asked."""

    folder: Path

    def git(self, *words: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        command = ["git", "-C", str(self.folder), *identity, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def images(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        tools = self.folder.parent / "tools"
        environment = {"PATH": f"{tools}:/usr/bin:/bin", "DOCKER_LOG": str(self.log)}
        return subprocess.run(
            ["sh", str(self.folder / "scripts" / "images"), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def log(self) -> Path:
        return self.folder.parent / "docker.log"

    def builds(self) -> list[str]:
        """The arguments of each `docker build`."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith("build ")]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "repository")
    (made.folder / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, made.folder / "scripts" / "images")
    (made.folder / ".gitignore").write_text(".venv\n")
    (made.folder / ".venv" / "bin").mkdir(parents=True)
    (made.folder / ".venv" / "bin" / "python").write_text(PYTHON)
    (made.folder / ".venv" / "bin" / "python").chmod(0o755)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "docker").write_text(DOCKER)
    (tmp_path / "tools" / "docker").chmod(0o755)
    made.git("init", "--quiet")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "test")
    return made


def test_each_image_gets_the_commit_and_that_the_tree_was_clean(checkout: Checkout) -> None:
    done = checkout.images(*BASES)
    assert done.returncode == 0, done.stderr
    commit = checkout.git("rev-parse", "HEAD")
    builds = checkout.builds()
    assert len(builds) == 4
    for line in builds:
        assert "--platform linux/amd64" in line  # also on a builder of another architecture
        assert f"--build-arg GIT_COMMIT={commit} --build-arg GIT_CLEAN=true" in line


def test_the_digest_of_each_image_covers_its_sbom(checkout: Checkout) -> None:
    done = checkout.images(*BASES)
    asked = [line for line in checkout.log.read_text().splitlines() if "scripts.sbom" in line]
    date = checkout.git("show", "-s", "--format=%cI", "HEAD")
    commit = checkout.git("rev-parse", "HEAD")
    steps = ("prepare", "train", "register", "evidence")
    for line, build, step, base in zip(asked, checkout.builds(), steps, BASES[1:], strict=True):
        assert line == f"-m scripts.sbom {step} --base {base} --commit {commit} --date {date}"
        assert f"--label governed-finetune.sbom.sha256=sbom-of-{step} " in build
        assert f"sbom build/sbom/{step}.cdx.json sha256:sbom-of-{step}" in done.stdout


def test_without_its_sbom_no_image_is_built(checkout: Checkout) -> None:
    python = checkout.folder / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    assert checkout.images(*BASES).returncode == 1
    assert checkout.builds() == []


def test_a_work_tree_that_differs_is_refused_unless_asked_for(checkout: Checkout) -> None:
    (checkout.folder / "new.txt").write_text("x")
    refused = checkout.images(*BASES)
    assert refused.returncode == 2
    assert "commit the changes, or give --dirty" in refused.stderr
    assert checkout.builds() == []
    assert checkout.images("--dirty", *BASES).returncode == 0
    assert all("GIT_CLEAN=false" in line for line in checkout.builds())
    assert len(checkout.builds()) == 4


def test_a_wrong_number_of_arguments_shows_the_usage(checkout: Checkout) -> None:
    refused = checkout.images("registry")
    assert refused.returncode == 2
    assert "scripts/images [--dirty] REGISTRY" in refused.stderr
    assert checkout.builds() == []
