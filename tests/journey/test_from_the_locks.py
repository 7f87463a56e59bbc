"""Each image's lock is enough: every step runs from an environment with its lock and nothing else.

Prepare runs on real Spark (scripts/spark-venv); Train, Register and Audit run from images.py's.
The repository is a clone whose Dockerfiles name those interpreters instead of `python`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.journey import images
from tests.journey.conftest import FAST, plain, variables_of

pytestmark = [
    pytest.mark.environment,
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("java") is None, reason="real Spark needs Java 17"),
]
SECONDS = 1500  # the Spark job alone takes a minute on an idle machine
# What this test's own environment has, and no image.
FOREIGN = ("pytest", "ministack", "pysail", "cfnlint")
AUDIT_ARGUMENTS = """
import json
from pipeline import audit, command
from pipeline.configuration import config
print(json.dumps(audit.arguments(config.load("local"))))
"""


@dataclass(frozen=True)
class Clone:
    """A clone of this commit whose images start their own interpreters."""

    folder: Path
    state: Path

    def local(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`python -m pipeline.local …` of the clone."""
        verb, *rest = words
        command = ("-m", "pipeline.local", verb, "--state", str(self.state), *rest)
        return self.run(Path(sys.executable), *command)

    def run(
        self, python: Path, *words: str, variables: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run an interpreter in the clone."""
        return subprocess.run(
            [str(python), *words],
            env=plain() | {"PYTHONPATH": str(self.folder)} | (variables or {}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """The clone after its run; its servers end with the tests."""
    folder = tmp_path_factory.mktemp("locks") / "repository"
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run([*git, "clone", "--quiet", str(images.REPOSITORY), str(folder)], check=True)
    for image in ("train", "register", "evidence"):
        dockerfile = folder / "containers" / image / "Dockerfile"
        text, word = dockerfile.read_text(), f'ENTRYPOINT ["{images.interpreter(image)}"'
        changed = re.sub(r'^ENTRYPOINT \["python"', word, text, flags=re.M)
        assert changed != text
        dockerfile.write_text(changed)
    (folder / "build").mkdir()
    os.symlink(images.PREPARE.parents[1].resolve(), folder / "build" / "spark-venv")
    subprocess.run(
        [*git, "commit", "--quiet", "--all", "--message", "images' own interpreters"],
        cwd=folder,
        check=True,
    )
    made = Clone(folder, folder.parent / "state")
    yield made
    down = made.local("down")
    assert down.returncode == 0, down.stderr


@pytest.mark.parametrize("image", ["train", "register", "evidence"])
def test_an_images_environment_has_its_lock_and_nothing_else(image: str) -> None:
    python = images.interpreter(image)
    for module in FOREIGN:
        found = subprocess.run(
            [str(python), "-c", f"import {module}"], capture_output=True, text=True, check=False
        )
        assert "ModuleNotFoundError" in found.stderr, module


def test_prepare_on_spark_train_and_register_run_from_their_locks(clone: Clone) -> None:
    words = [word for name, value in FAST.items() for word in ("--set", f"{name}={value}")]
    ran = clone.local("run", "--engine", "spark", "--keep", "--json", *words)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    outcome = json.loads(ran.stdout)["outcome"]
    assert outcome["model_version"] == "1"


def test_the_audit_runs_from_its_lock_and_is_clean(clone: Clone) -> None:
    auditor = variables_of(clone.local("env", "--as", "auditor"))
    composed = clone.run(Path(sys.executable), "-c", AUDIT_ARGUMENTS, variables=auditor)
    assert composed.returncode == 0, composed.stderr
    words = ("-m", "steps.audit", *json.loads(composed.stdout), "--all", "--deep", "--json")
    audited = clone.run(images.interpreter("evidence"), *words, variables=auditor)
    assert audited.returncode == 0, audited.stdout + audited.stderr
    outcomes = {line["outcome"] for line in json.loads(audited.stdout)["findings"]}
    assert outcomes <= {"ok", "note"}
