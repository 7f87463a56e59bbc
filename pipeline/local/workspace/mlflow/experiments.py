"""Who may see and write an MLflow experiment: CAN_READ, CAN_EDIT, CAN_MANAGE, on the experiment or
by its folder.

Followed: docs.databricks.com "MLflow experiment permissions" and "folder permissions" (whoever
creates an experiment and every workspace admin manages it; objects in /Shared are everybody's to
manage, a home folder its owner's alone), and kb.databricks.com for the words of a refusal. Chosen
here: folders need not be made first, their permissions cannot be changed, the root and other
folders are the admins'. Rights on an experiment are given with databricks-sdk's
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
    """Whoever creates an experiment manages it."""
    document = {"id": experiment_id, "name": name, "levels": {call.principal: MANAGE}}
    call.store.put(EXPERIMENT, experiment_id, document)


def require_creation(call: Call, name: str) -> None:
    """Whether the caller may have an experiment at this path.

    Raises:
        InvalidParameter: not an absolute path.
        PermissionDenied: the folder is somebody else's.
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
    """Whether the caller holds this level, or a higher one, on the experiment.

    Raises:
        PermissionDenied: it does not.
    """
    if not holds(call, level, experiment_id):
        raise PermissionDenied(
            f"User {call.principal} does not have permission to '{_WORD[level]}' experiment "
            f"with id {experiment_id}"
        )


def holds(call: Call, level: str, experiment_id: str) -> bool:
    """The same as an answer."""
    known = call.store.get(EXPERIMENT, experiment_id)
    if _is_admin(call):
        return True
    if known is None:  # mlflow's own experiment 0
        return False
    given = [known["levels"].get(who, "") for who in (call.principal, EVERYONE)]
    held = MANAGE if _is_in_own_folder(call, known["name"]) else max(given, key=_rank)
    return _rank(held) >= _rank(level)


def named(call: Call, name: str) -> str | None:
    """The id of the experiment at a path."""
    return next(
        (str(known["id"]) for known in call.store.all(EXPERIMENT) if known["name"] == name), None
    )


@routes.get(_PERMISSIONS, "getExperimentPermissions")
def get(call: Call) -> Json:
    return _answer(_managed(call))


@routes.put(_PERMISSIONS, "setExperimentPermissions")
def replace(call: Call) -> Json:
    """Whoever manages the experiment now goes on doing so: a workspace refuses to leave one
    without.
    """
    known = _managed(call)
    return _change(call, known, {call.principal: MANAGE})


@routes.patch(_PERMISSIONS, "updateExperimentPermissions")
def update(call: Call) -> Json:
    known = _managed(call)
    return _change(call, known, known["levels"])


def _change(call: Call, known: Document, levels: dict[str, str]) -> Json:
    asked = dict(_asked(call, entry) for entry in call.body.get("access_control_list") or [])
    changed = known | {"levels": levels | asked}
    call.store.put(EXPERIMENT, known["id"], changed)
    return _answer(changed)


def _asked(call: Call, entry: Json) -> tuple[str, str]:
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
    """/Shared is everybody's, /Users/<me> is mine."""
    return name.startswith(("/Shared/", f"/Users/{call.principal}/"))
