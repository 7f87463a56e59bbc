"""Real workers, ended with SIGKILL after each effect, and what the next delivery makes of it.

A read changes nothing, so a kill after it leaves the world as a kill after the effect before it did: by default the workers
die after each call that changes something. `REGISTER_CAMPAIGN=full` lets them die after every call, and twice in a row.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.steps.register.support import executions
from tests.steps.register.support import register_environment as beds

pytestmark = pytest.mark.environment

FULL = os.environ.get("REGISTER_CAMPAIGN") == "full"
KILLED = -9
# What cannot change anything; ReceiveMessage hides a message, which its visibility time-out undoes
READS = re.compile(
    r"GET |HEAD |POST (SageMaker\.(Describe|List)|secretsmanager\.Get|AmazonSQS\.(Get|Receive)|/oidc/|/$)"
    r"|POST .*generate-temporary-credentials"
)
UPLOAD = re.compile(
    rf"PUT /{beds.GOVERNED}/"
)  # ten files in parallel: dying after the first, one in the middle, the last


@dataclass
class Zygote:
    """The process that forks workers."""

    process: subprocess.Popen[str]
    calls: Path

    def run(self, execution: executions.Execution, **command: Any) -> list[int]:
        """Exit statuses of workers that each take one message."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"argv": execution.argv()} | command) + "\n")
        self.process.stdin.flush()
        statuses: list[int] = json.loads(self.process.stdout.readline())["statuses"]
        return statuses

    def settle(self, execution: executions.Execution, most: int = 3) -> None:
        """Deliver until the queue is empty."""
        for _ in range(most):
            assert self.run(execution) == [0]
            if execution.waiting() == 0:
                return
        raise AssertionError(f"{execution.id} not settled after {most} deliveries")


@pytest.fixture(scope="module")
def zygote(bed: beds.Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    calls = tmp_path_factory.mktemp("zygote") / "calls"
    script = Path(__file__).with_name("support") / "worker_that_dies.py"
    scratch = tmp_path_factory.mktemp("scratch")  # the killed leave their temporary folders behind
    environment = beds.plain_environment(
        **bed.environment(), PYTHONPATH=str(beds.REPOSITORY), TMPDIR=str(scratch)
    )
    process = subprocess.Popen(
        [sys.executable, str(script), str(calls)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"ready": True}
    yield Zygote(process, calls)
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


def test_a_worker_killed_after_any_effect_is_completed_by_the_next_delivery(
    bed: beds.Bed, zygote: Zygote
) -> None:
    bed.faults()
    calls = _calls_of_one_registration(bed, zygote)
    places = range(1, len(calls) + 1) if FULL else _effects(calls)
    assert len(_effects(calls)) >= 20, (
        "the campaign shrank: fewer effects are counted than there are"
    )
    killed = []
    for place in places:
        execution = executions.new_execution(bed)
        execution.send()
        assert zygote.run(execution, kill_after=place) == [KILLED]
        killed.append((place, execution))
    if FULL:
        for place, execution in killed:
            _wait_for_message(execution)
            zygote.run(execution, kill_after=max(1, place // 2))
    for place, execution in killed:
        zygote.settle(execution)
        try:
            execution.check_settled()
        except AssertionError as error:
            raise AssertionError(
                f"killed after call {place}, {calls[place - 1]}: {error}"
            ) from error
    print(f"{len(killed)} crashes, all completed")  # noqa: T201 - the campaign's size belongs in the log


def test_two_workers_on_two_copies_of_a_message_make_one_of_everything(
    bed: beds.Bed, zygote: Zygote
) -> None:
    for _ in range(3):
        execution = executions.new_execution(bed)
        execution.send()
        execution.send()
        assert zygote.run(execution, workers=2) == [0, 0]
        if execution.waiting():
            zygote.settle(execution)
        execution.check_settled()


def _calls_of_one_registration(bed: beds.Bed, zygote: Zygote) -> list[str]:
    execution = executions.new_execution(bed)
    execution.send()
    assert zygote.run(execution) == [0]
    execution.check_settled()
    return zygote.calls.read_text().splitlines()


def _effects(calls: list[str]) -> list[int]:
    """The numbers of the calls that change something."""
    changing = [number for number, call in enumerate(calls, 1) if not READS.match(call)]
    uploads = [number for number in changing if UPLOAD.match(calls[number - 1])]
    kept = {uploads[0], uploads[len(uploads) // 2], uploads[-1]}
    return [number for number in changing if number not in uploads or number in kept]


def _wait_for_message(execution: executions.Execution) -> None:
    deadline = time.monotonic() + 2 * beds.VISIBILITY_SECONDS
    sqs, names = execution.bed.client("sqs"), ["ApproximateNumberOfMessages"]
    while time.monotonic() < deadline:
        answer = sqs.get_queue_attributes(QueueUrl=execution.queue_url, AttributeNames=names)
        if int(answer["Attributes"][names[0]]):
            return
        time.sleep(0.2)
