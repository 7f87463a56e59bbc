"""Aliases: names that point to a version of a registered model."""

from __future__ import annotations

import re

from pipeline.local.workspace.api import Call, Json
from pipeline.local.workspace.errors import InvalidParameter, NotFound
from pipeline.local.workspace.models import models
from pipeline.local.workspace.rights.securables import Kind, Securable

_ALIAS = re.compile(r"(?!v\d+$|latest$)[A-Za-z0-9_-]{1,255}", re.IGNORECASE)


def set_alias(call: Call, name: str, alias: str, number: str | int) -> None:
    """Set an alias to a version; the owner, the admin or MANAGE may.

    "MANAGE is similar to object ownership" (Databricks' page of privileges); the API's page of this
    call names only owner and admin [unverified].
    """
    model = call.access.require_owner_or_manage(call.target(Kind.MODEL, name))
    if not _ALIAS.fullmatch(alias):
        raise InvalidParameter(
            f"'{alias}' is not a valid alias: letters, digits, _ and -, but not latest or v1."
        )
    version = models.stored_version(call, model["full_name"], number)
    models.save(call, model | {"aliases": model["aliases"] | {alias: version["version"]}})


def delete_alias(call: Call, name: str, alias: str) -> None:
    """Remove an alias if the model has it; who may set it may."""
    model = call.access.require_owner_or_manage(call.target(Kind.MODEL, name))
    models.save(
        call,
        model
        | {"aliases": {known: to for known, to in model["aliases"].items() if known != alias}},
    )


def version_by_alias(call: Call, name: str, alias: str) -> Json:
    """Return the version that an alias points to, for those who may see the model.

    Raises:
        NotFound: the model does not have the alias.
    """
    model = models.find_model(call, name)
    if alias not in model["aliases"]:
        raise NotFound(f"Alias '{alias}' of model '{name}' does not exist.")
    return models.find_version(call, name, model["aliases"][alias])


def aliases_of(call: Call, version: Json) -> list[str]:
    """Return the aliases that point to a version, without a check of rights."""
    model = call.access.get(Securable(Kind.MODEL, version["full_name"]))
    return [alias for alias, number in model["aliases"].items() if number == version["version"]]
