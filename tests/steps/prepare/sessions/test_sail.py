"""A session that was stopped does no harm to the next one, whenever Python collects garbage."""

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator

from tests.steps.prepare.sessions.sail import session_on_sail

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def no_other_collection() -> Iterator[None]:
    """The collector runs only where the test asks for it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def collect_on_a_thread_of_the_clients() -> None:
    """As the collector may do at any time: it runs on the thread that allocates."""
    pool = ExecutePlanResponseReattachableIterator._get_or_create_release_thread_pool()
    pool.submit(gc.collect).result()


def rows(spark: "SparkSession") -> int:
    return spark.createDataFrame([(1,)], "a int").count()


def used_and_held_by_a_cycle() -> None:
    """As an exception's traceback or a fixture holds it: only the collector can free it."""
    with session_on_sail() as spark:
        assert rows(spark) == 1
        held: list[object] = [spark]
        held.append(held)


@pytest.mark.usefixtures("no_other_collection")
def test_a_collection_between_two_sessions_leaves_the_second_one_whole() -> None:
    used_and_held_by_a_cycle()
    with session_on_sail() as spark:
        assert rows(spark) == 1
        collect_on_a_thread_of_the_clients()
        assert rows(spark) == 1
