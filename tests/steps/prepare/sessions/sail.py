"""A Spark Connect session on a Sail server in this process.

    with session_on_sail() as spark:
        ...

Several may follow one another in one process; test_sail.py shows what that needs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_RETRIES = 4  # about 3 s; Spark Connect's own 15 wait ten minutes for a server that is gone

# A session that is freed closes its client again, and with it the thread pool of every client
# of the process. If the collector frees it on a thread of that pool, the pool stays closed, and the
# next session fails (findings/spark-connect-a-freed-session-stops-another.sh). So none is freed.
_STOPPED: "list[SparkSession]" = []


@contextmanager
def session_on_sail() -> "Iterator[SparkSession]":
    """Yield a session on a new server; both are stopped at the end."""
    os.environ.setdefault("RUST_LOG", "error")
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.retries import DefaultPolicy

    server = SparkConnectServer()
    server.start()
    _, port = server.listening_address
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").create()
    session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
    _STOPPED.append(session)
    try:
        yield session
    finally:
        session.stop()
        server.stop()
