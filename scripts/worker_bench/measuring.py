"""The worker that is measured: its registrations, one after the other, and its idle time."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.steps.register.support import register_environment
from tests.steps.register.support.executions import Execution, new_execution
from tests.steps.register.support.register_environment import RegisterEnvironment

GROWTH_MIB, IDLE_SHARE = 16.0, 0.01
_AHEAD = 5  # executions that wait in the queue
_POLL_SECONDS = 0.05
_MOST_SECONDS = 300.0  # for one registration
_MIB = 1 << 20


@dataclass
class Measured:
    """Resident MiB and processor seconds after each registration, seconds of all, and while idle.

    `idle` has the processor seconds of the idle time.
    """

    rss: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    seconds: float = 0.0
    idle: float = 0.0
    idle_seconds: float = 1.0

    def document(self) -> dict[str, float | int | list[float]]:
        """Return the results as JSON values."""
        return {
            "registrations": len(self.rss),
            "per_minute": round(len(self.rss) / self.seconds * 60, 1),
            "cpu_seconds_each": round(each(self.cpu), 3),
            "rss_mib": [round(self.rss[index]) for index in _tenths(len(self.rss))],
            "growth_mib": round(growth(self.rss), 1),
            "mib_per_100_in_second_half": round(slope(self.rss[len(self.rss) // 2 :]) * 100, 2),
            "idle_share_of_a_core": round(self.idle / self.idle_seconds, 4),
        }

    @property
    def holds(self) -> bool:
        """Whether memory is flat and idling is cheap."""
        return growth(self.rss) <= GROWTH_MIB and self.idle / self.idle_seconds <= IDLE_SHARE


def growth(rss: Sequence[float]) -> float:
    """Return the MiB between the medians of the second and the last tenth."""
    tenth = max(1, len(rss) // 10)
    return statistics.median(rss[-tenth:]) - statistics.median(rss[tenth : 2 * tenth] or rss)


def each(cpu: Sequence[float]) -> float:
    """Return the processor seconds of one registration after the first tenth."""
    first = len(cpu) // 10
    return (cpu[-1] - cpu[first]) / max(1, len(cpu) - 1 - first) if cpu else 0.0


def slope(values: Sequence[float]) -> float:
    """Return the growth from one value to the next, by least squares."""
    return statistics.linear_regression(range(len(values)), values).slope if values[1:] else 0.0


def measured_in_a_fresh_environment(count: int, idle_seconds: float) -> Measured:
    """Register so many executions by one worker, then let it wait."""
    with (
        tempfile.TemporaryDirectory() as folder,
        register_environment.started(Path(folder)) as environment,
    ):
        return _measure(environment, count, idle_seconds)


def _measure(environment: RegisterEnvironment, count: int, idle_seconds: float) -> Measured:
    measured, first = Measured(), new_execution(environment)
    with (environment.state / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "steps.register", *first.argv()],
            cwd=register_environment.REPOSITORY,
            env=register_environment.plain_variables(**environment.variables()),
            stdout=log,
            stderr=log,
        )
        try:
            worker = psutil.Process(process.pid)
            _register(environment, first, count, worker, measured)
            before = worker.cpu_times()
            time.sleep(idle_seconds)
            after = worker.cpu_times()
        finally:
            process.terminate()
            process.wait(60)
    measured.idle = (after.user + after.system) - (before.user + before.system)
    measured.idle_seconds = idle_seconds
    return measured


def _register(
    environment: RegisterEnvironment,
    first: Execution,
    count: int,
    worker: psutil.Process,
    measured: Measured,
) -> None:
    """Send executions to the first one's queue, and look at the worker after each registration."""
    sent, began, last = 0, time.monotonic(), time.monotonic()
    while len(measured.rss) < count:
        done = sum(answer["status"] == "Succeeded" for answer in environment.stub.answers)
        if done > len(measured.rss):
            taken, new = worker.cpu_times(), done - len(measured.rss)
            measured.rss += [worker.memory_info().rss / _MIB] * new
            measured.cpu += [taken.user + taken.system] * new
            last = time.monotonic()
            _report(measured, count)
        if sent < count and sent - done < _AHEAD:
            _send(first if sent == 0 else new_execution(environment), first.queue_url)
            sent += 1
        elif time.monotonic() - last > _MOST_SECONDS:
            sys.stderr.write((environment.state / "worker.log").read_text()[-4000:])
            break
        else:
            time.sleep(_POLL_SECONDS)
    measured.seconds = time.monotonic() - began


def _send(execution: Execution, queue_url: str) -> None:
    execution.step["Metadata"]["Callback"]["SqsQueueUrl"] = queue_url
    execution.queue_url = queue_url
    execution.send()


def _report(measured: Measured, count: int) -> None:
    done = len(measured.rss)
    if done % 50 == 0:
        sys.stderr.write(f"{done} of {count}: {measured.rss[-1]:.0f} MiB\n")
        sys.stderr.flush()


def _tenths(count: int) -> list[int]:
    return [max(0, count * tenth // 10 - 1) for tenth in range(1, 11)] if count else []
