"""Register workers as forks of one process that has imported all they need, one delivery each.

    with forked(environment.variables(), scratch) as workers:
        ran = workers.run(execution, workers=2)     # its statuses, effects and errors

worker_that_dies.py lists the commands.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.steps.register.support import executions, register_environment
from tests.steps.register.support.register_environment import EVIDENCE

KILLED, HUNG = -9, -14  # the exit statuses of a worker that SIGKILL or SIGALRM ended
VISIBILITY_SECONDS = 8  # of message and lease; the `long` tests wait for their end


@dataclass(frozen=True)
class Ran:
    """How workers ended: their exit statuses and effects, and the errors that ended one."""

    statuses: list[int]
    effects: list[str]
    errors: list[str]


@dataclass
class Workers:
    """The process that forks workers (worker_that_dies.py)."""

    process: subprocess.Popen[str]

    def run(self, execution: executions.Execution, **command: Any) -> Ran:
        """Return how workers ended that each took one message."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        names = [execution.id, execution.model]
        argv = execution.argv(**{"visibility-seconds": str(VISIBILITY_SECONDS)})
        command = {"argv": argv, "names": names} | command
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return Ran(**json.loads(self.process.stdout.readline()))

    def killed_after_a_new_effect(
        self, execution: executions.Execution, survived: list[str]
    ) -> str | None:
        """Return the effect after which the worker died; None if all of its effects are old."""
        ran = self.run(execution, survived=survived)
        assert ran.statuses in ([KILLED], [0])
        return ran.effects[-1] if ran.statuses == [KILLED] else None

    def settle(self, execution: executions.Execution, most: int = 3) -> None:
        """Deliver until the queue is empty. A delivery from an empty one would poll for 20 s."""
        for _ in range(most):
            if execution.waiting() == 0:
                return
            assert self.run(execution).statuses == [0]
        assert execution.waiting() == 0, f"{execution.id} not settled after {most} deliveries"


@contextmanager
def forked(variables: dict[str, str], scratch: Path) -> Iterator[Workers]:
    """Start the process, with these variables of a worker; end it."""
    script = Path(__file__).with_name("worker_that_dies.py")
    environment = register_environment.plain_variables(
        **variables, PYTHONPATH=str(register_environment.REPOSITORY), TMPDIR=str(scratch)
    )
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"ready": True}
    try:
        yield Workers(process)
    finally:
        process.stdin.close()
        process.wait(register_environment.END_SECONDS)
        process.stdout.close()


def deliver_at_once(execution: executions.Execution) -> None:
    """Do what time does after a worker died: its message is visible again, and its lease ends."""
    sqs, s3 = execution.environment.client("sqs"), execution.environment.client("s3")
    sqs.purge_queue(QueueUrl=execution.queue_url)
    execution.send()
    folder = f"executions/{execution.id}/register/leases/"
    entries = s3.list_objects_v2(Bucket=EVIDENCE, Prefix=folder).get("Contents", [])
    released = json.dumps({"held": False, "owner": "the test"}).encode()
    s3.put_object(Bucket=EVIDENCE, Key=f"{folder}{len(entries) + 1:06d}.json", Body=released)
