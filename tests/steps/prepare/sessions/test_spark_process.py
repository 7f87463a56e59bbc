"""The process in which the scripts on real Spark run. No script of this file starts a JVM."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.steps.prepare.support.real_spark import RealSpark, needed

pytestmark = needed


@pytest.fixture
def process(tmp_path: Path) -> Iterator[RealSpark]:
    made = RealSpark(tmp_path / "stderr.log")
    yield made
    made.end()


def test_a_script_that_fails_has_its_traceback_and_the_next_one_runs(
    process: RealSpark, tmp_path: Path
) -> None:
    for script in ("absent_one", "absent_two"):
        with pytest.raises(AssertionError, match=f"No module named '{script}'"):
            process.run(script, tmp_path)


def test_it_ends_and_another_script_starts_it_again(process: RealSpark, tmp_path: Path) -> None:
    pids = []
    for _ in range(2):
        with pytest.raises(AssertionError, match="No module named"):
            process.run("absent", tmp_path)
        assert process._process is not None
        pids.append(process._process.pid)
        process.end()
    assert not any(map(psutil.pid_exists, pids))
    assert len(set(pids)) == 2


def test_a_process_that_was_killed_fails_the_script_and_ends(
    process: RealSpark, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="No module named"):
        process.run("absent", tmp_path)
    assert process._process is not None
    process._process.kill()
    with pytest.raises(AssertionError, match=r"the process has ended:\n"):
        process.run("absent", tmp_path)
    process.end()
