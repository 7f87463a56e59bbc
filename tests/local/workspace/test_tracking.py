"""Train's live metrics in a real workspace process with a real mlflow server behind it, as `up`
joins them; and who may write to an experiment.
"""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotImplemented, PermissionDenied
from databricks.sdk.service import ml

from steps.governance.unity_catalog import identity
from steps.train.tracking.live_tracker import LiveTracker
from steps.train.tracking.mlflow_run import About, MlflowRun
from tests.local.workspace.support.workspace_client import (
    Principal,
    Workspace,
    new_principal,
    wait_for,
)

EXPERIMENT = "/Shared/governed-finetune-test"
_READ, _EDIT, _MANAGE = (
    ml.ExperimentPermissionLevel.CAN_READ,
    ml.ExperimentPermissionLevel.CAN_EDIT,
    ml.ExperimentPermissionLevel.CAN_MANAGE,
)


@pytest.fixture(scope="module")
def tracked(
    start_workspace: Callable[..., Workspace],
    start_tracking: Callable[[], str],
    tmp_path_factory: Any,
) -> Workspace:
    tracking = start_tracking()
    workspace = start_workspace(
        tmp_path_factory.mktemp("tracked"), "--enable-faults", tracking=tracking
    )
    wait_for(f"{tracking}/health", workspace.process, 180)
    return workspace


@pytest.fixture(scope="module")
def train(tracked: Workspace) -> Principal:
    """Train's principal: nothing in the catalog is needed to track."""
    return new_principal(tracked)


SOURCE = {"delta_table_name": "a.b.c", "delta_table_version": 3, "delta_table_id": "t-1"}
DATASET = ml.DatasetInput(ml.Dataset("a.b.c@3", "0" * 36, "delta_table", json.dumps(SOURCE)))


def run_of(
    workspace: Workspace, principal: Principal, job: str, experiment: str = EXPERIMENT
) -> MlflowRun:
    connected = identity.Workspace(workspace.host, principal.client_id, principal.client)
    return MlflowRun(
        connected,
        experiment=experiment,
        about=About(
            job,
            name=f"run of {job}",
            tags={"base_model": "tiny"},
            params={"lora_rank": "8"},
            dataset=DATASET,
        ),
    )


def finished(run: MlflowRun, *steps: int, status: Any = "FINISHED") -> LiveTracker:
    tracker = LiveTracker(run)
    for step in steps:
        tracker.log(step, {"train_loss": 1 / step})
    tracker.finish(status, within_seconds=60)
    return tracker


def history(
    principal: Principal, run_id: str | None, key: str = "train_loss"
) -> list[tuple[int | None, float | None]]:
    found = principal.client.experiments.get_history(key, run_id=run_id)
    return [(metric.step, metric.value) for metric in found]


def permit(
    client: WorkspaceClient,
    experiment: str,
    principal: Principal,
    level: ml.ExperimentPermissionLevel,
) -> None:
    found = client.experiments.get_by_name(experiment).experiment
    assert found is not None
    entry = ml.ExperimentAccessControlRequest(
        service_principal_name=principal.client_id, permission_level=level
    )
    client.experiments.update_permissions(str(found.experiment_id), access_control_list=[entry])


def test_metrics_arrive_with_their_steps_under_the_jobs_name(
    tracked: Workspace, train: Principal
) -> None:
    tracker = LiveTracker(run_of(tracked, train, "job-1"))
    tracker.log(1, {"train_loss": 3.5, "grad_norm": 0.5})
    tracker.log(2, {"train_loss": math.nan, "grad_norm": math.inf})
    tracker.tag({"fp8_effective": "storage"})
    tracker.finish("FINISHED", within_seconds=60)
    assert tracker.problems == []
    (_, first), (step, second) = history(train, tracker.run_id)
    assert (first, step) == (3.5, 2)
    assert math.isnan(float(second or 0))
    assert float(history(train, tracker.run_id, "grad_norm")[1][1] or 0) > 1e308
    run = train.client.experiments.get_run(str(tracker.run_id)).run
    assert run is not None
    assert run.info is not None
    assert run.data is not None
    assert (run.info.run_name, run.info.status) == (
        "run of job-1",
        ml.RunInfoStatus.FINISHED,
    )
    assert [(param.key, param.value) for param in run.data.params or []] == [("lora_rank", "8")]
    tags = {str(tag.key): tag.value for tag in run.data.tags or []}
    assert tags["governed_finetune.training_job"] == "job-1"
    assert tags["governed_finetune.fp8_effective"] == "storage"
    assert run.inputs is not None
    (data,) = run.inputs.dataset_inputs or []
    assert data.as_dict() == DATASET.as_dict()


def test_more_values_than_one_request_takes_arrive_all_with_the_tags(
    tracked: Workspace, train: Principal
) -> None:
    tracker = LiveTracker(run_of(tracked, train, "job-many"))
    for step in range(
        1, 1101
    ):  # of two metrics: mlflow refuses a request of more than 1,000 values
        tracker.log(step, {"train_loss": 1 / step, "grad_norm": 1.0})
    tracker.tag({"fp8_effective": "storage"})
    tracker.finish("FINISHED", within_seconds=60)
    assert tracker.problems == []
    assert [step for step, _ in history(train, tracker.run_id)] == list(range(1, 1101))


def test_a_restarted_job_continues_its_run(tracked: Workspace, train: Principal) -> None:
    killed = finished(run_of(tracked, train, "job-2"), 1, 2, status="KILLED")
    again = finished(run_of(tracked, train, "job-2"), 2, 3)
    assert again.run_id == killed.run_id
    assert [step for step, _ in history(train, again.run_id)] == [1, 2, 2, 3]
    info = train.client.experiments.get_run(str(again.run_id)).run
    assert info is not None
    assert info.info is not None
    assert info.info.status is ml.RunInfoStatus.FINISHED


@pytest.mark.parametrize("path", ["experiments/create", "runs/create", "runs/log-batch"])
def test_a_lost_answer_leaves_one_run_and_no_value_twice(
    tracked: Workspace, train: Principal, path: str
) -> None:
    job = f"lost-{path.replace('/', '-')}"
    experiment = f"/Shared/{job}"
    tracked.faults({"method": "POST", "path": f"{path}$", "drop": "after"})
    tracker = finished(run_of(tracked, train, job, experiment), 1, 2)
    found = train.client.experiments.get_by_name(experiment).experiment
    assert found is not None
    runs = list(train.client.experiments.search_runs(experiment_ids=[str(found.experiment_id)]))
    assert len(runs) == 1
    assert history(train, tracker.run_id) == [(1, 1.0), (2, 0.5)]
    assert "live metrics wait, training continues" in tracker.problems[0]


def test_without_can_edit_the_log_has_the_remedy_and_with_it_metrics_are_written(
    tracked: Workspace, train: Principal
) -> None:
    admin = tracked.admin
    experiment = f"/Users/{admin.current_user.me().user_name}/governed"
    admin.experiments.create_experiment(experiment)
    refused = finished(run_of(tracked, train, "job-3", experiment), 1)
    assert "live metrics end here, training continues" in refused.problems[0]
    assert f"CAN EDIT on the experiment {experiment}" in refused.problems[0]
    assert "does not have permission to 'View' experiment with id" in refused.problems[0]
    permit(admin, experiment, train, _READ)
    assert (
        "'Edit' experiment with id"
        in finished(run_of(tracked, train, "job-3", experiment), 1).problems[0]
    )
    permit(admin, experiment, train, _EDIT)
    allowed = finished(run_of(tracked, train, "job-3", experiment), 1)
    assert allowed.problems == []
    with pytest.raises(PermissionDenied, match="'Manage' experiment"):
        permit(train.client, experiment, train, _MANAGE)
    reader = new_principal(tracked)
    with pytest.raises(PermissionDenied, match="'View' experiment"):
        history(reader, allowed.run_id)
    assert experiment not in [
        found.name for found in reader.client.experiments.search_experiments(max_results=100)
    ]
    permit(admin, experiment, reader, _READ)
    assert history(reader, allowed.run_id) == [(1, 1.0)]
    assert experiment in [
        found.name for found in reader.client.experiments.search_experiments(max_results=100)
    ]
    with pytest.raises(PermissionDenied, match="'Edit' experiment"):
        reader.client.experiments.log_metric("train_loss", 0.0, 1, run_id=allowed.run_id)


def test_an_experiment_needs_an_absolute_path_in_an_own_folder(
    tracked: Workspace, train: Principal
) -> None:
    create = train.client.experiments.create_experiment
    with pytest.raises(
        InvalidParameterValue, match="must be an absolute path within the Databricks workspace"
    ):
        create("governed")
    for folder in ("/Users/somebody", "/Teams"):
        with pytest.raises(PermissionDenied, match=f"'Edit' folder {folder}"):
            create(f"{folder}/governed")
    made = str(create(f"/Users/{train.client_id}/governed").experiment_id)
    levels = train.client.experiments.get_permissions(made)
    assert [entry.service_principal_name for entry in levels.access_control_list or []] == [
        train.client_id
    ]
    everybody = ml.ExperimentAccessControlRequest(group_name="users", permission_level=_READ)
    train.client.experiments.set_permissions(made, access_control_list=[everybody])
    assert new_principal(tracked).client.experiments.get_experiment(made).experiment is not None
    with pytest.raises(NotImplemented, match="renaming an experiment"):
        train.client.experiments.update_experiment(made, new_name="/Shared/other")


def test_a_deleted_principal_is_reported_once(tracked: Workspace) -> None:
    gone = new_principal(tracked)
    gone.client.current_user.me()
    tracked.admin.service_principals.delete(gone.id)
    tracker = finished(run_of(tracked, gone, "job-4"), 1)
    assert "was rejected by the workspace" in tracker.problems[0]
    assert "check that the service principal and its OAuth secret exist" in tracker.problems[0]
