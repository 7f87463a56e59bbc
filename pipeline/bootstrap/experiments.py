"""The MLflow experiment of the Databricks half, and who may write and read it.

    for change in experiments.changes(admin, config): change.make()

MLflow keeps the name of a deleted experiment, so one that cleanup deleted is restored.
"""

from functools import partial

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.ml import (
    Experiment,
    ExperimentAccessControlRequest,
    ExperimentPermissionLevel,
    ExperimentTag,
)

from pipeline.bootstrap import ownership
from pipeline.bootstrap.change import Change, Changes
from pipeline.configuration.config import Config
from pipeline.doctor import workspace as found_in

_DELETED = "deleted"
LEVELS = {
    "train": ExperimentPermissionLevel.CAN_EDIT,
    "scientist": ExperimentPermissionLevel.CAN_READ,
}


def changes(admin: WorkspaceClient, config: Config, *, looks: bool = True) -> Changes:
    """Yield the MLflow experiment, and who may write and read it.

    With `looks` false it is not looked for: a plan of an environment without a tracking server.
    """
    name = config.train.mlflow_experiment
    if name is None:
        return
    found = _named(admin, name) if looks else None
    if found is not None and found.lifecycle_stage == _DELETED:
        make = partial(admin.experiments.restore_experiment, str(found.experiment_id))
        yield Change("~", f"experiment {name}: restored, with its runs", make)
    elif found is None:
        mark = ownership.properties(config.environment).items()
        tags = [ExperimentTag(key=key, value=value) for key, value in mark]
        make = partial(admin.experiments.create_experiment, name, tags=tags)
        yield Change("+", f"experiment {name}", make)
    ids = found_in.principals(config, admin)
    held = levels(admin, name) if looks else {}
    for principal, level in LEVELS.items():
        if level.value not in held.get(ids.get(principal, ""), set()):
            yield Change(
                "+",
                f"experiment {name}: {level.value} to {principal}",
                partial(_permit, admin, name, str(ids.get(principal)), level),
            )


def _permit(
    admin: WorkspaceClient, name: str, principal: str, level: ExperimentPermissionLevel
) -> None:
    entry = ExperimentAccessControlRequest(service_principal_name=principal, permission_level=level)
    number = str(experiment_id(admin, name))
    admin.experiments.update_permissions(number, access_control_list=[entry])


def experiment_id(admin: WorkspaceClient, name: str) -> str | None:
    """Return an experiment's id, or None if it does not exist or was deleted."""
    found = _named(admin, name)
    return found.experiment_id if found and found.lifecycle_stage != _DELETED else None


def is_ours(admin: WorkspaceClient, config: Config, name: str) -> bool:
    """Return whether bootstrap made an experiment; one in /Shared may be Train's."""
    found = _named(admin, name)
    given = (found.tags if found else None) or ()
    tags = {each.key: each.value for each in given if each.key and each.value}
    return ownership.has(tags, config.environment)


def is_deleted(admin: WorkspaceClient, name: str) -> bool:
    """Return whether an experiment was deleted and keeps its name: nobody can make it again."""
    found = _named(admin, name)
    return found is not None and found.lifecycle_stage == _DELETED


def _named(admin: WorkspaceClient, name: str) -> Experiment | None:
    try:
        return admin.experiments.get_by_name(name).experiment
    except NotFound:
        return None


def levels(admin: WorkspaceClient, name: str) -> dict[str, set[str]]:
    """Return each principal's levels; the higher ones include CAN_EDIT and CAN_READ."""
    number = experiment_id(admin, name)
    if number is None:
        return {}
    entries = admin.experiments.get_permissions(number)
    held: dict[str, set[str]] = {}
    for entry in entries.access_control_list or ():
        names = {
            each.permission_level.value
            for each in entry.all_permissions or ()
            if each.permission_level
        }
        if names & {"CAN_EDIT", "CAN_MANAGE"}:
            names |= {"CAN_EDIT", "CAN_READ"}
        held.setdefault(str(entry.service_principal_name), set()).update(names)
    return held
