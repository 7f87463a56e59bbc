"""What the life of an environment asks of IAM: nothing beyond the policies, and nearly all of them.

A run, an audit, an approval, a reconciliation, a stop and a retry, each with its own role.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.local.aws.recorded import calls
from tests.journey.conftest import FAST, Environment, plain, variables_of, wait_for
from tests.local.aws.rights import used, world

pytestmark = [pytest.mark.environment, pytest.mark.long]
PEOPLE = ("scientist", "auditor", "approver", "reconciler", "ci")
SECONDS = 900
GOAL = 0.9
_SET = [word for name, value in FAST.items() for word in ("--set", f"{name}={value}")]


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
        _live(environment, people)
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


def _live(environment: Environment, people: dict[str, dict[str, str]]) -> None:
    """Use each role as its people do."""
    model = ("--model", "edgar.models.risk_analyst@1")
    _done(environment, people["auditor"], "pipeline.audit", "--all", "--deep")
    approval = (*model, "--alias", "champion", "--reason", "reviewed")
    _done(environment, people["approver"], "pipeline.approve", *approval)
    _done(environment, people["reconciler"], "pipeline.reconcile", "--grace-seconds", "0")
    _done(environment, people["reconciler"], "pipeline.redrive")
    _done(environment, people["ci"], "pipeline.upsert", "--alias", "prod")
    scientist = people["scientist"]
    for step in ("Prepare", "Train"):
        started = environment.command("pipeline.run", *_SET, role=scientist).stdout.strip()
        wait_for(lambda arn=started, step=step: step in environment.steps(arn), seconds=600)
        run = started.rsplit("/", 1)[-1]
        _done(environment, scientist, "pipeline.stop", run, "--follow")
    _done(environment, scientist, "pipeline.retry", run, "--follow")
    _done(environment, scientist, "pipeline.runs")
    _done(environment, scientist, "pipeline.logs", run, "Train")
    page = os.fspath(environment.state.parent / "report.html")
    _done(environment, scientist, "pipeline.report", "--execution", run, "--out", page)
    model_folder = environment.state / "base-model"
    mirror = scientist | environment.role("mirror")
    _done(environment, mirror, "pipeline.mirror", "--folder", os.fspath(model_folder))


def _done(environment: Environment, role: dict[str, str], module: str, *words: str) -> None:
    ended = environment.command(module, *words, role={"PIPELINE_ENV": "local"} | role)
    assert ended.returncode == 0, (module, ended.stdout, ended.stderr)


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
    here = allowed - set(used.UNUSED)
    print(  # noqa: T201  # the figures are the result
        f"{len(asked)} of {len(allowed)} allowed actions used, {len(asked & here)} of the "
        f"{len(here)} that a run on one machine can use; left: {sorted(here - asked)}"
    )
    assert set(used.UNUSED) <= allowed
    assert len(asked & here) / len(here) >= GOAL


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
