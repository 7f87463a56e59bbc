"""A Spark session on Sail, and real Spark, for the tests of Prepare."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.steps.prepare.sessions.sail import session_on_sail
from tests.steps.prepare.support.real_spark import RealSpark, needed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_STARTED: list[RealSpark] = []


@pytest.fixture(scope="module")
def spark() -> "Iterator[SparkSession]":
    """A Spark Connect session on a Sail server in this process, one for each file.

    A SIGINT that a test of another file sends to this process stops a server that has a client
    (findings/sail-stops-listening-after-a-caught-interrupt.sh), so no two files share one.
    """
    with session_on_sail() as session:
        yield session


@pytest.fixture(scope="session")
def real_spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSpark]:
    """Real Spark. One worker runs all files that use it, one by one (tests/conftest.py)."""
    process = RealSpark(tmp_path_factory.mktemp("real-spark") / "stderr.log")
    _STARTED.append(process)
    yield process
    process.end()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End real Spark after its last file: the JVM takes 2 GiB."""
    if getattr(getattr(nextitem, "module", None), "pytestmark", None) is not needed:
        for process in _STARTED:
            process.end()
