"""An image of the embedded environment states its code, and another code is another image."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from pipeline.local.aws.errors import Invalid
from pipeline.local.aws.processes.built_image import VARIABLE, built
from steps.governance.documents import builds
from tests.local.aws.support.programs import make_repository

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/governed-finetune/prepare:local"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of git with the tests' two images, committed."""
    folder = make_repository(tmp_path / "repository")
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "test")


def test_a_step_reads_the_commit_and_the_lock_of_its_image(
    repository: Path, tmp_path: Path
) -> None:
    image = built(repository, tmp_path / "state", IMAGE)
    build = builds.of_this_image(image.variables)
    lock = (repository / "containers/prepare/requirements.txt").read_bytes()
    assert build.git_commit == git(repository, "rev-parse", "HEAD")
    assert build.lock_sha256 == hashlib.sha256(lock).hexdigest()
    assert build.clean
    assert VARIABLE == builds.VARIABLE


@pytest.mark.parametrize("path", ["steps/prepare.py", "notes.txt"])
def test_a_changed_or_new_file_makes_the_build_unclean(
    repository: Path, tmp_path: Path, path: str
) -> None:
    (repository / path).write_text("# changed")
    assert not json.loads(built(repository, tmp_path, IMAGE).build.read_bytes())["clean"]


@pytest.mark.parametrize(
    "path",
    ["steps/prepare.py", "containers/prepare/Dockerfile", "containers/prepare/requirements.txt"],
)
def test_another_byte_in_the_image_is_another_digest(
    repository: Path, tmp_path: Path, path: str
) -> None:
    (repository / path).write_text((repository / path).read_text() + "\n")
    first = built(repository, tmp_path, IMAGE)
    (repository / path).write_text((repository / path).read_text() + "\n")
    second = built(repository, tmp_path, IMAGE)
    assert first.digest != second.digest
    assert first.build != second.build
    assert first.build.is_file(), "a running job keeps its own file"
    assert built(repository, tmp_path, IMAGE) == second


def test_a_file_that_the_image_does_not_hold_leaves_its_digest(
    repository: Path, tmp_path: Path
) -> None:
    (repository / "steps/kernel.py").write_text("# changed")
    first = built(repository, tmp_path, IMAGE)
    (repository / "steps/kernel.py").write_text("# changed again")
    assert built(repository, tmp_path, IMAGE) == first


def test_a_folder_without_its_own_repository_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    folder = make_repository(tmp_path / "unpacked")
    commit(tmp_path)
    build = builds.of_this_image(built(folder, tmp_path / "state", IMAGE).variables)
    assert (build.git_commit, build.clean) == (None, False)


def test_an_image_without_a_lock_is_refused(repository: Path, tmp_path: Path) -> None:
    (repository / "containers/prepare/requirements.txt").unlink()
    with pytest.raises(Invalid, match=r"containers/prepare/requirements\.txt"):
        built(repository, tmp_path, IMAGE)
