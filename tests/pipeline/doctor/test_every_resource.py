"""Whatever resource or object is taken from an environment, the doctor names it, and no other.

Most of them cannot be made again as they were, so they are taken one after the other: each must add
its own check to those that are missing already.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.bootstrap import experiments
from pipeline.doctor import __main__ as doctor
from pipeline.doctor import embedded
from pipeline.doctor.check import MISSING, OK, Check
from pipeline.local.aws import infrastructure
from pipeline.local.host.state import State
from tests.pipeline.doctor import taking

pytestmark = [pytest.mark.environment, pytest.mark.long]
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[tuple[Any, Any, Any, Path]]:
    state = tmp_path / "state"
    assert local(state, "up").returncode == 0
    config, client, admin = embedded.identities(str(state))
    yield config, client, admin(), state
    local(state, "down")


def local(state: Path, word: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pipeline.local", word, "--state", str(state)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_each_resource_and_object_that_is_taken_away_is_named(environment: Any) -> None:
    config, client, admin, state = environment

    def wrong() -> dict[str, Check]:
        found = doctor.examined(config, client, lambda: admin)
        return {check.name: check for check in found if check.state != OK}

    for change in experiments.changes(admin, config):
        assert change.make is not None
        change.make()
    deadline = time.monotonic() + 180
    while before := wrong():
        assert time.monotonic() < deadline, before
        time.sleep(1)
    every = [worker(state, client, config), *taking.objects(config, admin)]
    every += taking.resources(client)
    assert len(every) > 85
    for taken in every:
        taken.take()
        after = wrong()
        new = [after[name] for name in after.keys() - before.keys()]
        assert new, taken.check
        assert len(new) == 1 or taken.several, (taken.check, new)
        assert all(one.name.startswith(taken.check) for one in new), (taken.check, new)
        assert all(one.state == MISSING and one.fix for one in new), (taken.check, new)
        before = after


def worker(state: Path, client: Any, config: Any) -> taking.Taken:
    """The worker's supervisor ends, and its last heartbeat with it."""

    def take() -> None:
        (process,) = [one for one in State(state).load().processes if one.name == "register"]
        handle = process.handle()
        assert handle is not None
        handle.terminate()
        handle.wait(60)
        bucket = f"{infrastructure.PREFIX}-artifacts-{infrastructure.ACCOUNT_ID}-us-east-1"
        s3 = client("s3")
        for each in s3.list_objects_v2(Bucket=bucket, Prefix="workers/")["Contents"]:
            s3.delete_object(Bucket=bucket, Key=each["Key"])

    return taking.Taken("register worker alive", take)
