"""Run each case in a separate process, one after another, and keep its numbers.

All cases of a round run before the next round begins. So other work on the machine affects all of
them equally, and the peak memory of one case does not appear in another's.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.training_bench.job import RESULT, Job

REPOSITORY = Path(__file__).resolve().parents[2]
OURS = REPOSITORY / ".venv" / "bin" / "python"
PEERS = REPOSITORY / "build" / "bench-venv" / "bin" / "python"
_TIME_LIMIT_SECONDS = 1800  # of one case: ten times what it should take, for a shared machine
_LEAST_SECONDS = 20  # that a case needs to import torch and load a model
_TAIL = 12  # lines of a failed case that are shown


class CaseFailed(Exception):
    """A measured process ended without its numbers."""


@dataclass
class Runner:
    """Runs jobs and keeps the numbers of each case, by round."""

    threads: int = 1
    until: float | None = None  # of time.monotonic(): no case runs longer
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    missed: dict[str, str] = field(default_factory=dict)  # for lack of time; not a failure

    def interleaved(self, jobs: Mapping[str, Job], rounds: int) -> None:
        """Run every job once a round.

        A case that failed is not run again, and neither is one that another section has measured.
        """
        for round_ in range(rounds):
            for label, job in jobs.items():
                if label not in self.failures and len(self.results.get(label, ())) <= round_:
                    self._run(label, job, f"round {round_ + 1} of {rounds}")

    def together(self, jobs: Mapping[str, Job]) -> None:
        """Run jobs whose time is not measured, two at once."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda label: self._run(label, jobs[label], "untimed"), jobs))

    def median(self, label: str, *path: str) -> float:
        """Return the median over the rounds of the number at `path`.

        Raises:
            CaseFailed: the case has no numbers.
        """
        return statistics.median(_at(result, path) for result in self.of(label))

    def rate(self, label: str, seconds: str) -> float:
        """Return the median of real tokens per second; `seconds` names the kind of seconds."""
        return statistics.median(
            float(result["tokens"] / result[seconds]) for result in self.of(label)
        )

    def of(self, label: str) -> list[dict[str, Any]]:
        """Return the case's numbers, by round.

        Raises:
            CaseFailed: the case has no numbers.
        """
        if label in self.failures or label not in self.results:
            reasons = {label: f"{label} did not run"} | self.missed | self.failures
            raise CaseFailed(reasons[label])
        return self.results[label]

    def _run(self, label: str, job: Job, when: str) -> None:
        began = time.monotonic()
        left = _TIME_LIMIT_SECONDS if self.until is None else self.until - began
        if left < _LEAST_SECONDS:
            if label not in self.results:
                self.missed[label] = f"{label} was not run: the time was over"
            return
        try:
            limit = min(left, _TIME_LIMIT_SECONDS)
            self.results.setdefault(label, []).append(run(job, self.threads, limit=limit))
        except CaseFailed as failed:
            self.failures[label] = str(failed)
        outcome = self.failures.get(label, "done")
        sys.stderr.write(f"{label} ({when}): {outcome}, {time.monotonic() - began:.0f} s\n")


def run(job: Job, threads: int, *, limit: float = _TIME_LIMIT_SECONDS) -> dict[str, Any]:
    """Run one job in a new process; return its numbers.

    Raises:
        CaseFailed: the process failed or took too long; its last lines went to stderr.
    """
    python = OURS if job.case.startswith("ours") else PEERS
    command = [str(python), "-m", "scripts.training_bench.measure_one", job.to_json()]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    environment["PYTHONPATH"] = str(REPOSITORY)
    try:
        ended = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        raise CaseFailed(f"{job.case} took longer than {limit:.0f} s") from None
    lines: Sequence[str] = ended.stdout.splitlines()
    if ended.returncode != 0 or not lines or not lines[-1].startswith(RESULT):
        sys.stderr.write("\n".join(ended.stderr.splitlines()[-_TAIL:]) + "\n")
        last = (ended.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise CaseFailed(f"{job.case} failed: {last[:200]}")
    numbers: dict[str, Any] = json.loads(lines[-1].removeprefix(RESULT))
    return numbers


def _at(result: Any, path: Sequence[str]) -> float:
    for name in path:
        result = result[name]
    return float(result)
