"""Runs steps.approve in a separate process, as one person, and ends it at a chosen call."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.steps.approve.support.approvals import Approvals, Version
from tests.steps.register.support.register_environment import REPOSITORY, plain_variables

KILLED = -9


@dataclass
class Dying:
    """The process that forks an approver for each command."""

    approvals: Approvals
    process: subprocess.Popen[str]
    log: Path

    @classmethod
    @contextmanager
    def started(cls, approvals: Approvals) -> Iterator[Self]:
        """Start the process; end it with the block."""
        log = approvals.environment.state / "approvers.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.steps.approve.support.approver_that_dies"],
                cwd=REPOSITORY,
                env=plain_variables(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            with process:
                yield cls(approvals, process, log)
                process.stdin.close()

    def run(
        self, version: Version, person: str = "alice", *flags: str, **changed: str
    ) -> tuple[int, str, list[str]]:
        """Run to the end; return the exit status, what it wrote to stderr, and its calls."""
        return self._run(version, person, flags, {}, changed)

    def killed(
        self, version: Version, call: int, when: str, *flags: str, **changed: str
    ) -> tuple[int, str, list[str]]:
        """Run as alice, and end it before or after one call."""
        return self._run(version, "alice", flags, {"call": call, "when": when}, changed)

    def _run(
        self,
        version: Version,
        person: str,
        flags: tuple[str, ...],
        end: dict[str, Any],
        changed: dict[str, str],
    ) -> tuple[int, str, list[str]]:
        written = self.log.stat().st_size
        command = {
            "argv": [*self.approvals.argv(version, person, **changed), *flags],
            "variables": self.approvals.variables(person),
        } | end
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(command)}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["status"], self.log.read_text()[written:], answer["calls"]
