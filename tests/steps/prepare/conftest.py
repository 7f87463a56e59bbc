"""A Spark session on Sail for the tests of Prepare."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.steps.prepare.sessions.sail import session_on_sail

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="module")
def spark() -> "Iterator[SparkSession]":
    """A Spark Connect session on a Sail server in this process, one for each file.

    A SIGINT that a test of another file sends to this process stops a server that has a client
    (findings/sail-stops-listening-after-a-caught-interrupt.sh), so no two files share one.
    """
    with session_on_sail() as session:
        yield session
