"""One environment, its proxies and one process that forks workers, for all campaigns of faults."""

from collections.abc import Iterator

import pytest

from tests.steps.faults.support import troubled_workers
from tests.steps.faults.support.troubled_workers import Troubled
from tests.steps.register.support import register_environment
from tests.steps.register.support.register_environment import GOVERNED, RegisterEnvironment
from tests.steps.train.support import curated_table


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegisterEnvironment]:
    """The services, with a curated table that Train can read."""
    with register_environment.started(tmp_path_factory.mktemp("faults")) as made:
        folder = tmp_path_factory.mktemp("curated")
        curated_table.commit(folder, curated_table.ARN)
        for path in (each for each in folder.rglob("*") if each.is_file()):
            made.client("s3").put_object(
                Bucket=GOVERNED,
                Key=f"curated/risk_factor_examples/{path.relative_to(folder)}",
                Body=path.read_bytes(),
            )
        made.clients["folder"] = folder
        yield made


@pytest.fixture(scope="session")
def troubled(
    environment: RegisterEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Troubled]:
    """Workers behind proxies."""
    with troubled_workers.started(environment, tmp_path_factory.mktemp("scratch")) as made:
        yield made
