"""Permissions on MLflow experiments: CAN_READ, CAN_EDIT, CAN_MANAGE, on the experiment or by its
folder.

From docs.databricks.com, "MLflow experiment permissions" and "folder permissions": the creator of
an experiment and every workspace admin manage it; everybody manages objects in /Shared, and only
the owner those in a home folder. The texts of refusals are from kb.databricks.com. Our choices:
folders exist without being created, their permissions cannot be changed, and only admins may use
the root and other folders. Rights on an experiment are given with databricks-sdk's
`experiments.set_permissions` and `update_permissions`; the group `users` is everybody.
"""

from __future__ import annotations

from pipeline.local.workspace.api import Call, Json, Routes
from pipeline.local.workspace.catalog.principals import PRINCIPAL, known_principal
from pipeline.local.workspace.errors import InvalidParameter, NotFound, PermissionDenied
from pipeline.local.workspace.rights.access import EVERYONE
from pipeline.local.workspace.store import Document

EXPERIMENT = "EXPERIMENT"
READ, EDIT, MANAGE = "CAN_READ", "CAN_EDIT", "CAN_MANAGE"

_LEVELS = (READ, EDIT, MANAGE)
_WORD = {READ: "View", EDIT: "Edit", MANAGE: "Manage"}
_PERMISSIONS = "/api/2.0/permissions/experiments/{id}"
_USERS = "users"  # the group's name in the Permissions API

routes = Routes()


def note_creation(call: Call, experiment_id: str, name: str) -> None:
    """Give CAN_MANAGE to the creator of an experiment."""
    document = {"id": experiment_id, "name": name, "levels": {call.principal: MANAGE}}
    call.store.put(EXPERIMENT, experiment_id, document)


def require_creation(call: Call, name: str) -> None:
    """Check that the caller may create an experiment at this path.

    Raises:
        InvalidParameter: not an absolute path.
        PermissionDenied: the folder belongs to another principal.
    """
    if not name.startswith("/") or name.endswith("/"):
        raise InvalidParameter(
            f"Got an invalid experiment name '{name}'. An experiment name must be an "
            "absolute path within the "
            "Databricks workspace, e.g. '/Users/<some-username>/my-experiment'."
        )
    if not (_is_admin(call) or _is_in_own_folder(call, name)):
        folder = name.rpartition("/")[0] or "/"
        raise PermissionDenied(
            f"User {call.principal} does not have permission to 'Edit' folder {folder}."
        )


def require(call: Call, level: str, experiment_id: str) -> None:
    """Check that the caller holds this level, or a higher one, on the experiment.

    Raises:
        PermissionDenied: it does not.
    """
    if not holds(call, level, experiment_id):
        raise PermissionDenied(
            f"User {call.principal} does not have permission to '{_WORD[level]}' experiment "
            f"with id {experiment_id}"
        )


def holds(call: Call, level: str, experiment_id: str) -> bool:
    """Return whether the caller holds this level, or a higher one, on the experiment."""
    known = call.store.get(EXPERIMENT, experiment_id)
    if _is_admin(call):
        return True
    if known is None:  # mlflow's own experiment 0
        return False
    given = [known["levels"].get(who, "") for who in (call.principal, EVERYONE)]
    held = MANAGE if _is_in_own_folder(call, known["name"]) else max(given, key=_rank)
    return _rank(held) >= _rank(level)


def named(call: Call, name: str) -> str | None:
    """Return the id of the experiment at a path."""
    return next(
        (str(known["id"]) for known in call.store.all(EXPERIMENT) if known["name"] == name), None
    )


@routes.get(_PERMISSIONS, "getExperimentPermissions")
def get(call: Call) -> Json:
    """Return the permissions (GET /api/2.0/permissions/experiments/{id}). Needs CAN_MANAGE."""
    return _answer(_managed(call))


@routes.put(_PERMISSIONS, "setExperimentPermissions")
def replace(call: Call) -> Json:
    """Replace the permissions except those of managers: an experiment needs a manager."""
    known = _managed(call)
    return _change(call, known, {call.principal: MANAGE})


@routes.patch(_PERMISSIONS, "updateExperimentPermissions")
def update(call: Call) -> Json:
    """Add or change permissions (PATCH /api/2.0/permissions/experiments/{id}). Needs CAN_MANAGE."""
    known = _managed(call)
    return _change(call, known, known["levels"])


def _change(call: Call, known: Document, levels: dict[str, str]) -> Json:
    given = dict(_level_of(call, entry) for entry in call.body.get("access_control_list") or [])
    changed = known | {"levels": levels | given}
    call.store.put(EXPERIMENT, known["id"], changed)
    return _answer(changed)


def _level_of(call: Call, entry: Json) -> tuple[str, str]:
    level = str(entry.get("permission_level"))
    if level not in _LEVELS:
        raise InvalidParameter(
            f"permission_level: expected one of {', '.join(_LEVELS)}, got {level}."
        )
    if entry.get("group_name"):
        if entry["group_name"] != _USERS:
            raise NotFound(f"Group {entry['group_name']} does not exist.")
        return EVERYONE, level
    return known_principal(
        call.store, str(entry.get("service_principal_name") or entry.get("user_name") or "")
    ), level


def _managed(call: Call) -> Document:
    call.about = f"Experiment '{call.path['id']}'"
    known = call.store.get(EXPERIMENT, call.path["id"])
    if known is None:
        raise NotFound(f"Experiment with id {call.path['id']} does not exist.")
    require(call, MANAGE, known["id"])
    return known


def _answer(known: Document) -> Json:
    entries = [
        ({"group_name": _USERS} if who == EVERYONE else {"service_principal_name": who})
        | {"all_permissions": [{"permission_level": level, "inherited": False}]}
        for who, level in known["levels"].items()
    ]
    return {
        "object_id": f"/experiments/{known['id']}",
        "object_type": "mlflowExperiment",
        "access_control_list": entries,
    }


def _rank(level: str) -> int:
    return _LEVELS.index(level) if level in _LEVELS else -1


def _is_admin(call: Call) -> bool:
    return bool((call.store.get(PRINCIPAL, call.principal) or {}).get("admin"))


def _is_in_own_folder(call: Call, name: str) -> bool:
    """Return whether the path is in /Shared or in the caller's /Users/<me>."""
    return name.startswith(("/Shared/", f"/Users/{call.principal}/"))
