"""What the life of an environment asks of IAM: nothing beyond the policies, and nearly all of them.

The life is in recorded_life.py: each role does what its commands are for.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.local.aws.recorded import calls
from tests.journey.conftest import Environment, plain, variables_of
from tests.journey.recorded_life import live
from tests.local.aws.rights import used, world

pytestmark = [pytest.mark.environment, pytest.mark.long, pytest.mark.timeout(3600)]
PEOPLE = ("scientist", "auditor", "approver", "reconciler", "ci")
SECONDS = 900
GOAL = 0.9


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The calls of all of it."""
    folder = tmp_path_factory.mktemp("recorded")
    file, state = folder / "calls.jsonl", folder / "state"
    ran = _local(file, state, "run", "--keep", "--json")
    try:
        assert ran.returncode == 0, ran.stderr
        people = {name: variables_of(_local(file, state, "env", "--as", name)) for name in PEOPLE}
        environment = Environment(state, people["scientist"], people["auditor"], people["approver"])
        live(environment, people)
        environment.close()
    finally:
        _local(file, state, "down")
    return [json.loads(line) for line in file.read_text().splitlines()]


def _local(file: Path, state: Path, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.local", verb, "--state", str(state), *words],
        env=plain() | {calls.VARIABLE: str(file)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_no_call_is_outside_the_policies(recorded: list[dict[str, object]]) -> None:
    application = _application(recorded)
    assert used.outside(world.read(world.PLAIN_OPTIONS), recorded, application) == []
    refused = {_pair(call) for call in recorded if not call["allowed"]}
    assert refused <= set(used.REFUSED)


def test_nearly_all_that_is_allowed_is_used_and_the_rest_is_signed(
    recorded: list[dict[str, object]],
) -> None:
    allowed = used.allowed(world.read(world.PLAIN_OPTIONS))
    asked = {_pair(call) for call in recorded if call["allowed"]} & allowed
    share = len(asked) / len(allowed)
    print(f"{len(asked)} of {len(allowed)} allowed pairs used: {share:.1%}")  # noqa: T201
    assert {"unsigned": sorted(allowed - asked - set(used.UNUSED))} == {"unsigned": []}
    assert {"not allowed": sorted(set(used.UNUSED) - allowed)} == {"not allowed": []}
    assert {"used": sorted(asked & set(used.UNUSED))} == {"used": []}
    assert share >= GOAL


def _pair(call: dict[str, object]) -> tuple[str, str]:
    return str(call["role"]).removeprefix("governed-finetune-local-"), str(call["action"])


def _application(recorded: list[dict[str, object]]) -> str:
    found = {
        str(call["resource"]).split("/applications/")[1].partition("/")[0]
        for call in recorded
        if "/applications/" in str(call["resource"])
    }
    (application,) = found
    return application
