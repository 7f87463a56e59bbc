"""A Spark session on Sail for the tests of Prepare."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_RETRIES = 4  # about 3 s; Spark Connect's own 15 wait ten minutes for a server that is gone


@pytest.fixture(scope="module")
def spark() -> "Iterator[SparkSession]":
    """A Spark Connect session on a Sail server in this process, one for each file.

    A SIGINT that a test of another file sends to this process stops a server that has a client
    (findings/sail-stops-listening-after-a-caught-interrupt.sh), so no two files share one.
    """
    os.environ.setdefault("RUST_LOG", "error")
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.retries import DefaultPolicy

    server = SparkConnectServer()
    server.start()
    _, port = server.listening_address
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").create()
    session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
    yield session
    session.stop()
    server.stop()
