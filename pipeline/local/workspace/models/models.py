"""Registered models and their versions as in Unity Catalog; two REST APIs call these functions.

A new version is PENDING_REGISTRATION and has its own folder in managed storage. Its creator gets
keys to write there and finalizes it; from then on it is READY and read-only. Version numbers are
never reused.
"""

from __future__ import annotations

import uuid
from typing import Any

from pipeline.local.workspace.api import Call, Json
from pipeline.local.workspace.catalog.catalog import create, forget, refuse_existing, require_create
from pipeline.local.workspace.catalog.vending import vend
from pipeline.local.workspace.errors import (
    InvalidParameter,
    InvalidState,
    NotFound,
    PermissionDenied,
)
from pipeline.local.workspace.rights.securables import Kind, Securable

VERSION = "MODEL_VERSION"
VIEW = ("EXECUTE",)

Tags = dict[str, str]


# Models


def create_model(call: Call, name: str, *, comment: str = "", tags: Tags | None = None) -> Json:
    """Needs CREATE MODEL on the schema. An existing name is reported first, because mlflow calls
    this before every version.
    """
    model = call.target(Kind.MODEL, name).checked()
    schema = Securable(Kind.SCHEMA, model.name.rpartition(".")[0])
    call.access.require("USE_SCHEMA", schema)
    refuse_existing(call, model)
    require_create(call, "CREATE_MODEL", schema)
    catalog_name, schema_name, short = model.name.split(".")
    names = {
        "name": short,
        "catalog_name": catalog_name,
        "schema_name": schema_name,
        "comment": comment,
    }
    return create(call, model, names | {"tags": tags or {}, "aliases": {}, "next_version": 1})


def find_model(call: Call, name: str) -> Json:
    """Needs EXECUTE, MANAGE or BROWSE on the model."""
    return call.access.require_view(VIEW, call.target(Kind.MODEL, name))


def visible_models(call: Call, prefix: str = "") -> list[Json]:
    """Return the models that the caller may see and whose full name has the prefix."""
    return [
        document
        for key, document in call.store.items(Kind.MODEL.name, prefix)
        if call.access.sees(VIEW, Securable(Kind.MODEL, key))
    ]


def describe_model(call: Call, name: str, comment: str) -> Json:
    """Change a model's comment; only its owner or the admin may."""
    model = require_model_owner(call, name)
    return save(call, model | {"comment": comment})


def delete_model(call: Call, name: str) -> None:
    """Delete the model and its versions. Their files remain, because Unity Catalog removes them
    only days later.
    """
    model = require_model_owner(call, name)
    for key, _ in call.store.items(VERSION, f"{model['full_name']}/"):
        call.store.delete(VERSION, key)
    forget(call.store, Securable(Kind.MODEL, name))


def tag_model(call: Call, name: str, *, add: Tags, remove: list[str]) -> None:
    """Set and remove tags of a model. Needs APPLY TAG on it."""
    call.access.require("APPLY_TAG", call.target(Kind.MODEL, name))
    model = call.access.get(Securable(Kind.MODEL, name))
    save(call, model | {"tags": _retagged(model["tags"], add, remove)})


# Versions


def create_version(
    call: Call, name: str, fields: Json, *, comment: str = "", tags: Tags | None = None
) -> Json:
    """Needs CREATE MODEL VERSION, which a model's owner has."""
    call.access.require("CREATE_MODEL_VERSION", call.target(Kind.MODEL, name))
    model = call.access.get(Securable(Kind.MODEL, name))
    number = model["next_version"]
    save(call, model | {"next_version": number + 1})
    version = call.stamp() | fields
    version |= {
        "full_name": model["full_name"],
        "version": number,
        "status": "PENDING_REGISTRATION",
        "comment": comment,
        "tags": tags or {},
        "storage_location": f"s3://{call.workspace.settings.storage_bucket}/models/{uuid.uuid4()}",
    }
    return _save_version(call, version)


def find_version(call: Call, name: str, number: str | int) -> Json:
    """Return a version, for those who may see its model."""
    model = find_model(call, name)
    call.about += f" version {number}"
    return stored_version(call, model["full_name"], number)


def versions_of(call: Call, name: str) -> list[Json]:
    """Return all versions of a model, for those who may see the model."""
    model = find_model(call, name)
    return call.store.all(VERSION, f"{model['full_name']}/")


def describe_version(call: Call, name: str, number: str | int, comment: str) -> Json:
    """Change a version's comment; only the model's owner or the admin may."""
    model = require_model_owner(call, name)
    return _save_version(
        call, stored_version(call, model["full_name"], number) | {"comment": comment}
    )


def finalize_version(call: Call, name: str, number: str | int) -> Json:
    """Make a version READY. For a READY version it changes nothing [unverified]."""
    version = _writable(call, name, number)
    return (
        version
        if version["status"] == "READY"
        else _save_version(call, version | {"status": "READY"})
    )


def delete_version(call: Call, name: str, number: str | int) -> None:
    """Delete a version and its aliases; only the model's owner or the admin may. Files remain."""
    model = require_model_owner(call, name)
    version = stored_version(call, model["full_name"], number)
    aliases = {
        alias: target for alias, target in model["aliases"].items() if target != version["version"]
    }
    save(call, model | {"aliases": aliases})
    call.store.delete(VERSION, _key(version))


def tag_version(call: Call, name: str, number: str | int, *, add: Tags, remove: list[str]) -> None:
    """Set and remove tags of a version. Needs APPLY TAG on the model."""
    call.access.require("APPLY_TAG", call.target(Kind.MODEL, name))
    version = stored_version(call, name, number)
    _save_version(call, version | {"tags": _retagged(version["tags"], add, remove)})


def version_location(call: Call, name: str, number: str | int, *, write: bool) -> str:
    """Return the version's folder. Reading needs EXECUTE; only the creator and the model's owner
    may write, before it is READY.
    """
    if not write:
        call.access.require("EXECUTE", call.target(Kind.MODEL, name))
        return str(stored_version(call, name, number)["storage_location"])
    version = _writable(call, name, number)
    if version["status"] == "READY":
        raise InvalidState(
            f"Model version {number} of '{name}' is READY: its files can no longer be written."
        )
    return str(version["storage_location"])


def version_credentials(call: Call, name: str, number: str | int, *, write: bool) -> Json:
    """Return keys for the version's folder, for those who may use it."""
    return vend(call, version_location(call, name, number, write=write), write=write)


def note_use(call: Call, name: str, number: str | int, use: Json) -> None:
    """Store what mlflow reports when a model is loaded inside a Databricks job."""
    call.access.require("EXECUTE", call.target(Kind.MODEL, name))
    version = stored_version(call, name, number)
    call.store.put(
        "MODEL_USE",
        str(uuid.uuid4()),
        {"version_id": version["id"], "principal": call.principal, "use": use},
    )


# Rights and rows


def require_model_owner(call: Call, name: str) -> Json:
    """Return the model if the caller owns it or is metastore admin."""
    return call.access.require_owner(call.target(Kind.MODEL, name))


def _writable(call: Call, name: str, number: str | int) -> Json:
    """Return a version for its model's owner, or for its creator under CREATE MODEL VERSION."""
    model = call.target(Kind.MODEL, name)
    call.access.require("CREATE_MODEL_VERSION", model)
    version = stored_version(call, name, number)
    if not call.access.owns(model) and version["created_by"] != call.principal:
        raise PermissionDenied.not_owner(model.kind.value, model.name)
    return version


def stored_version(call: Call, name: str, number: str | int) -> Json:
    """Return a version, without a check of rights.

    Raises:
        InvalidParameter: the number is not an integer.
        NotFound: the version does not exist.
    """
    if not str(number).isdecimal():
        raise InvalidParameter(f"Model version: expected a positive integer, got '{number}'.")
    found = call.store.get(VERSION, f"{name.lower()}/{int(number):010d}")
    if found is None:
        raise NotFound(f"Model version '{number}' of '{name}' does not exist.")
    return found


def save(call: Call, model: Json) -> Json:
    """Store a changed model with the time and the caller of the change."""
    model |= call.touch()
    call.store.put(Kind.MODEL.name, model["full_name"], model)
    return model


def _save_version(call: Call, version: Json) -> Json:
    version |= call.touch()
    call.store.put(VERSION, _key(version), version)
    return version


def _key(version: Json) -> str:
    return f"{version['full_name']}/{version['version']:010d}"


def _retagged(tags: Any, add: Tags, remove: list[str]) -> Tags:
    return {key: value for key, value in (tags | add).items() if key not in remove}
