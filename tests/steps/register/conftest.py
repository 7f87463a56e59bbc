"""One bed for all tests of the worker: starting it costs seconds, so executions and models are new in each test."""

from collections.abc import Iterator
from functools import partial

import pytest

from steps.governance.identity import connect
from steps.governance.retrying import Policy
from steps.register import aws
from tests.steps.register.support import executions
from tests.steps.register.support import register_environment as beds

_BUDGET_SECONDS = (
    4.0  # for each call: an outage in a test ends after seconds, and not after a minute
)


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[beds.Bed]:
    with beds.made(tmp_path_factory.mktemp("register")) as made:
        yield made


@pytest.fixture
def worker_environment(bed: beds.Bed, monkeypatch: pytest.MonkeyPatch) -> beds.Bed:
    """This process is the worker: its keys, its endpoints."""
    for name, value in bed.environment().items():
        monkeypatch.setenv(name, value)
    aws.client.cache_clear()
    monkeypatch.setattr(
        "steps.register.worker.connect", partial(connect, policy=Policy(_BUDGET_SECONDS))
    )
    return bed


@pytest.fixture
def execution(bed: beds.Bed) -> executions.Execution:
    """A new execution whose callback waits."""
    bed.faults()
    return executions.new_execution(bed)
