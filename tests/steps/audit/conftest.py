"""The simulated history of the auditor's tests: one for the session, since servers take seconds."""

from collections.abc import Iterator

import pytest

from tests.steps.audit.support.history import Options, new_base_model, new_raw_version, register
from tests.steps.audit.support.world import World, prepared_world
from tests.steps.register.support import register_environment

MODEL, OTHER = "edgar.models.analyst", "edgar.models.early"


@pytest.fixture(scope="session")
def session_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two models: one of version 1, and one with three versions, an approval and a revocation."""
    with register_environment.started(tmp_path_factory.mktemp("audit")) as environment:
        world = prepared_world(environment)
        new_base_model(world)
        for name in (OTHER, MODEL, "edgar.models.false"):
            _, _, short = name.split(".")
            world.uc(
                "POST",
                "models",
                {"catalog_name": "edgar", "schema_name": "models", "name": short},
            )
        world.raw_files = new_raw_version(world)
        register(world, MODEL)
        register(world, OTHER, Options(first_version=True))
        second = register(world, MODEL)
        world.decide(second, "champion")
        world.raw_files = new_raw_version(world)
        third = register(world, MODEL)
        world.decide(third, "champion")
        world.decide(third, "champion", revoke=True)
        yield world


@pytest.fixture
def world(session_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The history, audited with the auditor's keys."""
    for name, value in (session_world.environment.variables() | session_world.auditor).items():
        monkeypatch.setenv(name, value)
    return session_world
