"""Separate environments that are interrupted, killed, stopped and started again: no process
remains, no data is lost.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from pipeline.local.host.state import State
from tests.journey.conftest import REPOSITORY, local, plain, wait_for
from tests.support import storage_role

pytestmark = pytest.mark.environment


def begin(state: Path, verb: str) -> "subprocess.Popen[str]":
    """Start a command in a new process group, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.local", verb, "--state", str(state)],
        env=plain(),
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def servers_of(state: Path) -> list[psutil.Process]:
    """The recorded servers that live, and everything they started."""
    handles = [handle for process in State(state).load().processes if (handle := process.handle())]
    return [*handles, *(child for handle in handles for child in handle.children(recursive=True))]


def trains(state: Path) -> bool:
    """Whether a server of this environment runs Train. Its other children may end meanwhile."""
    for process in servers_of(state):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "steps.train" in " ".join(process.cmdline()):
                return True
    return False


def alive(processes: list[psutil.Process]) -> list[str]:
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.name())
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_while_it_trains_leaves_no_process(tmp_path: Path, number: int) -> None:
    run = begin(tmp_path / "state", "run")
    assert run.stderr is not None
    for line in run.stderr:
        if line.startswith("Train") and "Executing" in line:
            break
    wait_for(lambda: trains(tmp_path / "state"))
    started = [*servers_of(tmp_path / "state"), *psutil.Process(run.pid).children(recursive=True)]
    assert len(started) >= 5
    os.killpg(run.pid, number)  # as the terminal does: to the whole foreground group
    run.communicate(timeout=90)
    assert run.returncode == 130
    assert alive(started) == []
    assert local(tmp_path / "state", "status").returncode == 1


def test_after_a_killed_up_the_next_one_starts_everything(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    up = begin(state, "up")
    wait_for(lambda: len(servers_of(state)) >= 2, seconds=60)
    os.killpg(up.pid, signal.SIGKILL)
    up.communicate()
    left = servers_of(state)
    assert local(state, "status").returncode == 1
    again = local(state, "up")
    assert again.returncode == 0, again.stderr
    assert local(state, "status").returncode == 0
    assert alive(left) == []
    whole = servers_of(state)
    assert local(state, "down").returncode == 0
    assert alive(whole) == []


@pytest.mark.long
def test_two_runs_of_one_environment_both_end_and_the_servers_outlive_the_first(
    tmp_path: Path,
) -> None:
    """The first one starts the servers and ends while the second one still uses them."""
    state, fast = tmp_path / "state", ("--set", "MaxSteps=1", "--set", "MaxEvalLoss=9")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(local, state, "run", *fast)
        wait_for(lambda: State(state).load().running, seconds=120)
        wait_for(lambda: (state / "users").exists())
        second = pool.submit(local, state, "run", *fast)
        ended = [each.result() for each in (first, second)]
    assert [each.returncode for each in ended] == [0, 0], ended
    assert "left running, since another run uses it" in ended[0].stderr
    assert "left running; look around" in ended[1].stderr
    assert local(state, "down").returncode == 0


def test_up_after_down_keeps_the_loaded_filings(tmp_path: Path) -> None:
    state, filings = tmp_path / "state", tmp_path / "filings.jsonl"
    filing = {
        "cik": "1",
        "company": "A",
        "filing_type": "10-K",
        "filing_date": "2025-01-01",
        "filename": "a.htm",
    }
    filings.write_text(json.dumps(filing | {"period_of_report": "2024-12-31"}))
    for words in (("up", "--filings", str(filings)), ("down",), ("up",)):
        ended = local(state, *words)
        assert ended.returncode == 0, ended.stderr
    try:
        assert versions(state) == 1, "the synthetic corpus was loaded over a person's filings"
    finally:
        local(state, "down")


def versions(state: Path) -> int:
    """How many commits the raw table has; only Unity Catalog's storage role may look."""
    root = json.loads((state / "aws" / "root.json").read_text())
    endpoint = f"http://127.0.0.1:{State(state).load().ports['aws']}"
    with contextlib.ExitStack() as opened:

        def client(service: str, /, **keys: str) -> Any:
            made = boto3.client(
                service, region_name="us-east-1", endpoint_url=endpoint, **(keys or root)
            )
            return opened.enter_context(contextlib.closing(made))

        s3 = client("s3", **storage_role.keys(client))
        listed = s3.list_objects_v2(
            Bucket="governed-finetune-local-governed-000000000000-us-east-1",
            Prefix="raw/filings/_delta_log/",
        )
    return sum(entry["Key"].endswith(".json") for entry in listed["Contents"])
