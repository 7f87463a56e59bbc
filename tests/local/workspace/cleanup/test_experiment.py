"""An experiment that cleanup deleted is made again, over a real mlflow server."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from pipeline.bootstrap import experiments, identities
from pipeline.bootstrap.change import Changes, Part, carried_out
from pipeline.cleanup import order
from pipeline.configuration import config as configuration
from tests.local.workspace.conftest import StartWorkspace
from tests.local.workspace.support.workspace_client import wait_for

NAME = "/Shared/governed"


@pytest.fixture(scope="module")
def site(
    start_workspace: StartWorkspace, start_tracking: Callable[[], str], tmp_path_factory: Any
) -> Any:
    folder: Path = tmp_path_factory.mktemp("state")
    tracking = start_tracking()
    workspace = start_workspace(folder, tracking=tracking)
    wait_for(f"{tracking}/health", workspace.process, 180)
    # the first request opens the database, which takes longer than the client waits
    search = f"{tracking}/api/2.0/mlflow/experiments/search"
    requests.post(search, json={"max_results": 1}, timeout=180).raise_for_status()
    admin = workspace.admin
    dev = configuration.load("dev")
    config = replace(dev, train=replace(dev.train, mlflow_experiment=NAME))
    done(identities.principals(admin, "dev"))
    return SimpleNamespace(config=config, admin=lambda: admin)


def done(changes: Changes, *, plan: bool = False) -> list[str]:
    """Return the changes, each with its sign, as a plan or after they are made."""
    found = carried_out([Part("all", "me", lambda: changes)], plan=plan, show=print)
    return [f"{each.sign} {each.what}" for each in found]


def test_after_cleanup_bootstrap_restores_it_with_its_runs(site: Any) -> None:
    admin = site.admin()
    first = done(experiments.changes(admin, site.config))
    assert first[0] == f"+ experiment {NAME}"
    number = experiments.experiment_id(admin, NAME)
    run = admin.experiments.create_run(experiment_id=number).run
    assert done(order._experiment(site)) == [f"- experiment {NAME}"]
    assert done(order._experiment(site)) == []
    restored = f"~ experiment {NAME}: restored, with its runs"
    assert done(experiments.changes(admin, site.config), plan=True)[0] == restored
    assert done(experiments.changes(admin, site.config))[0] == restored
    assert experiments.experiment_id(admin, NAME) == number
    assert [
        each.info.run_id for each in admin.experiments.search_runs(experiment_ids=[number])
    ] == [run.info.run_id]
    assert done(experiments.changes(admin, site.config)) == []


def test_an_experiment_of_others_is_not_deleted(site: Any) -> None:
    other = replace(site.config.train, mlflow_experiment="/Shared/of-others")
    theirs = SimpleNamespace(config=replace(site.config, train=other), admin=site.admin)
    number = site.admin().experiments.create_experiment("/Shared/of-others").experiment_id
    assert done(order._experiment(theirs)) == ["= experiment /Shared/of-others"]
    assert experiments.experiment_id(site.admin(), "/Shared/of-others") == number
