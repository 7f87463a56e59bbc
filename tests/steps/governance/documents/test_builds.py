"""A process knows which code it runs, or it does nothing."""

import json
import re
from pathlib import Path

import pytest

from steps.governance.documents import builds
from steps.governance.documents.reading import Build
from steps.governance.errors import UsageError

GOOD = {"git_commit": "a" * 40, "clean": True, "lock_sha256": "b" * 64}


def written(folder: Path, content: bytes) -> dict[str, str]:
    """Write a build.json and return the environment that names it."""
    (folder / "build.json").write_bytes(content)
    return {builds.VARIABLE: str(folder / "build.json")}


def test_a_build_is_read_from_the_file_that_the_variable_names(tmp_path: Path) -> None:
    environ = written(tmp_path, json.dumps(GOOD).encode())
    assert builds.of_this_image(environ) == Build(**GOOD)


def test_an_unpacked_release_has_no_commit(tmp_path: Path) -> None:
    environ = written(tmp_path, json.dumps({"clean": False, "lock_sha256": "b" * 64}).encode())
    assert builds.of_this_image(environ).git_commit is None


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "no JSON"),
        (b"[]", "document"),
        (b'{"clean":,"git_commit":"","lock_sha256":""}', "no JSON"),
        (json.dumps(GOOD | {"git_commit": "main"}).encode(), "git_commit"),
        (json.dumps(GOOD | {"clean": "yes"}).encode(), "clean"),
        (json.dumps({"git_commit": "a" * 40, "clean": True}).encode(), "lock_sha256"),
        (json.dumps(GOOD | {"author": "x"}).encode(), "author"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_its_fault(
    tmp_path: Path, content: bytes, named: str
) -> None:
    environ = written(tmp_path, content)
    with pytest.raises(UsageError) as refusal:
        builds.of_this_image(environ)
    assert str(tmp_path / "build.json") in str(refusal.value)
    assert named in str(refusal.value)
    assert "scripts/images" in str(refusal.value)


def test_a_missing_file_is_refused_with_its_name_and_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(UsageError, match=str(path)) as refusal:
        builds.of_this_image({builds.VARIABLE: str(path)})
    assert builds.VARIABLE in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_an_image_has_its_file_in_the_working_directory_of_the_dockerfiles() -> None:
    with pytest.raises(UsageError, match=re.escape(str(builds.PATH))):
        builds.of_this_image({})
