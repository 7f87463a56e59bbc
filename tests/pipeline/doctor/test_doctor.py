"""Whatever is taken from a complete environment, the doctor names it, and nothing else."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.configuration.config import Config
from pipeline.doctor import __main__ as doctor
from pipeline.doctor import embedded, workspace
from pipeline.doctor.check import MISSING, OK, Check
from tests.pipeline.doctor import removals
from tests.pipeline.doctor.removals import Removal

pytestmark = pytest.mark.environment
REPOSITORY = Path(__file__).parents[3]
SAMPLE = 12  # every so many removals in the default run


@dataclass
class Complete:
    """A running environment and who may see everything in it."""

    state: Path
    config: Config
    client: Callable[[str], Any]
    admin: Any

    def wrong(self) -> list[Check]:
        found = doctor.examined(self.config, self.client, lambda: self.admin)
        return [check for check in found if check.state != OK]

    def removals(self, kind: str) -> list[Removal]:
        if kind == "grants":
            ids = workspace.principals(self.config, self.admin)
            return list(removals.grants(self.config, self.admin, ids))
        if kind == "statements":
            return list(removals.statements(self.client))
        return list(removals.resources(self.client))


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Complete]:
    state = tmp_path_factory.mktemp("doctor") / "state"
    assert local(state, "up").returncode == 0
    config, client, admin = embedded.identities(str(state))
    found = Complete(state, config, client, admin())
    deadline = time.monotonic() + 120  # the worker imports mlflow before its first heartbeat
    while found.wrong() and time.monotonic() < deadline:
        time.sleep(1)
    yield found
    assert local(state, "down").returncode == 0


def local(state: Path, word: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pipeline.local", word, "--state", str(state)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_nothing_is_missing_after_up(complete: Complete) -> None:
    assert complete.wrong() == []


@pytest.mark.parametrize("kind", ["grants", "statements", "resources"])
def test_what_is_taken_away_is_named_with_its_fix(complete: Complete, kind: str) -> None:
    named_alone(complete, complete.removals(kind)[::SAMPLE])


@pytest.mark.long
@pytest.mark.parametrize("kind", ["grants", "statements", "resources"])
def test_each_one_that_is_taken_away_is_named_with_its_fix(complete: Complete, kind: str) -> None:
    named_alone(complete, complete.removals(kind))


def named_alone(complete: Complete, taken: list[Removal]) -> None:
    assert taken
    for removal in taken:
        with removal.made():
            wrong = complete.wrong()
        assert len(wrong) == 1, (removal.check, wrong)
        (only,) = wrong
        assert only.name.startswith(removal.check), only
        assert only.state == MISSING
        assert only.fix, only
    assert complete.wrong() == [], "everything is back"


def test_the_command_prints_what_is_missing_and_ends_with_one(complete: Complete) -> None:
    (removal,) = [each for each in complete.removals("grants") if " BROWSE " in each.check]
    words = ["--env", "local", "--state", str(complete.state), "--json"]
    command = [sys.executable, "-m", "pipeline.doctor", *words]
    with removal.made():
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    (only,) = [each for each in json.loads(ended.stdout) if each["state"] != OK]
    assert only["name"] == "grant BROWSE on schema edgar.models to prepare"
    ids = workspace.principals(complete.config, complete.admin)
    assert only["fix"] == f"GRANT BROWSE ON SCHEMA edgar.models TO `{ids['prepare']}`"


def test_without_an_environment_it_is_a_fault_of_usage(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.doctor", "--env", "local", "--state", str(tmp_path)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "no environment runs in" in ended.stderr
