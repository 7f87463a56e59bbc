"""checkov's findings on the layers are the accepted ones, and no other.

checkov is large, so no lock has it: the test makes build/checkov-venv (about two minutes, once).
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from pipeline.local.aws import infrastructure
from tests.local.aws.checkov.accepted import ACCEPTED, VERSION

REPOSITORY = Path(__file__).resolve().parents[4]
ENVIRONMENT = REPOSITORY / "build" / "checkov-venv"


@pytest.fixture(scope="module")
def checkov() -> Path:
    """The command, in an environment of its version."""
    ready, python = ENVIRONMENT / "ready", ENVIRONMENT / "bin" / "python"
    if not ready.is_file() or ready.read_text() != VERSION:
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([*pip, f"checkov=={VERSION}"], check=True)
        ready.write_text(VERSION)
    return ENVIRONMENT / "bin" / "checkov"


@pytest.mark.long
def test_the_findings_are_the_accepted_ones(checkov: Path) -> None:
    ended = subprocess.run(
        [
            *(checkov, "--directory", infrastructure.FOLDER, "--framework", "cloudformation"),
            *("--output", "json", "--quiet", "--compact", "--skip-download"),
        ],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(ended.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["checkov_version"] == VERSION
    found: dict[str, set[str]] = defaultdict(set)
    for each in report["results"]["failed_checks"]:
        found[each["check_id"]].add(each["resource"].rpartition(".")[2])
    assert found == {name: set(each.resources) for name, each in ACCEPTED.items()}


def test_each_accepted_finding_is_in_the_decision_with_its_resources() -> None:
    text = (REPOSITORY / "docs" / "decisions" / "058-checkov.md").read_text()
    rows = {line.split()[1] for line in text.splitlines() if line.startswith("| CKV")}
    assert rows == set(ACCEPTED)
    assert all(each.reason and each.resources for each in ACCEPTED.values())
