"""Model and tables that cleanup left: their owners were principals that are gone.

    for change in owners.changes(admin, config): change.make()

Only an owner moves aliases and writes tags of a version. What a principal made that exists, or a
person, or a group, stays theirs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound

from pipeline.bootstrap import identities
from pipeline.bootstrap.change import Change, Changes
from pipeline.configuration.combinations import REJECTED
from pipeline.configuration.config import Config
from pipeline.configuration.parameters import DEFAULTS


def changes(admin: WorkspaceClient, config: Config) -> Changes:
    """Yield each object that needs another owner: `register` the model, `prepare` its tables."""
    ids = {who: one for who, (_, one) in identities.existing(admin, config.environment).items()}
    alive = {str(each.application_id) for each in admin.service_principals.list()}
    curated = str(config.parameters.get("CuratedTable", DEFAULTS["CuratedTable"]))
    model = str(config.parameters.get("ModelName", DEFAULTS["ModelName"]))
    for kind, api, name, principal in (
        ("model", admin.registered_models, model, "register"),
        ("table", admin.tables, curated, "prepare"),
        ("table", admin.tables, curated + REJECTED, "prepare"),
    ):
        owner = _owner(partial(api.get, name))
        if owner is not None and _is_principal(owner) and owner not in alive and principal in ids:
            make = partial(api.update, name, owner=ids[principal])
            yield Change("~", f"{kind} {name}: owned by {principal}", make, (f"- {owner}, gone",))


def _owner(get: Callable[[], Any]) -> str | None:
    try:
        return str(get().owner)
    except NotFound:
        return None


def _is_principal(owner: str) -> bool:
    try:
        UUID(owner)
    except ValueError:
        return False
    return True
