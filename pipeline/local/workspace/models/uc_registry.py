"""The model registry of Unity Catalog's own API, under /api/2.1/unity-catalog.

`w.registered_models` and `w.model_versions` of databricks-sdk use it, and mlflow does where
MLFLOW_ENABLE_UC_NATIVE_MODEL_REGISTRY is true. That default may change, so both APIs are served.
Paths in docstrings are below /api/2.1/unity-catalog.
"""

from __future__ import annotations

from pipeline.local.workspace.api import Call, Json, Routes, page
from pipeline.local.workspace.catalog.catalog import update
from pipeline.local.workspace.errors import InvalidParameter, NotFound
from pipeline.local.workspace.models import aliases, models
from pipeline.local.workspace.rights.securables import Kind

_UC = "/api/2.1/unity-catalog"
_MODELS = f"{_UC}/models"
_VERSION = f"{_MODELS}/{{name}}/versions/{{version}}"
_ALIAS = f"{_MODELS}/{{name}}/aliases/{{alias}}"
_WRITE = {"READ_MODEL_VERSION": False, "READ_WRITE_MODEL_VERSION": True}

routes = Routes()


@routes.post(_MODELS, "createRegisteredModel")
def create_model(call: Call) -> Json:
    """Create a model (POST /models). Needs CREATE MODEL and USE SCHEMA on the schema."""
    name = f"{call.text('catalog_name')}.{call.text('schema_name')}.{call.text('name')}"
    return _model(
        models.create_model(call, name, comment=call.body.get("comment") or "", tags=_tags(call))
    )


@routes.get(_MODELS, "listRegisteredModels")
def list_models(call: Call) -> Json:
    """Return the models that the caller may see (GET /models)."""
    names = [call.query[part] for part in ("catalog_name", "schema_name") if call.query.get(part)]
    prefix = "".join(f"{name.lower()}." for name in names)
    found = [_model(model) for model in models.visible_models(call, prefix)]
    return page(found, call.query, key="registered_models")


@routes.post(f"{_MODELS}/versions", "createModelVersion")
def create_version(call: Call) -> Json:
    """Create a pending version (POST /models/versions). Needs CREATE MODEL VERSION."""
    name = f"{call.text('catalog_name')}.{call.text('schema_name')}.{call.text('model_name')}"
    kept = ("source", "run_id", "run_tracking_server_id", "model_id", "model_version_dependencies")
    fields = {field: call.body[field] for field in kept if field in call.body}
    comment = call.body.get("comment") or ""
    return _version(
        call, models.create_version(call, name, fields, comment=comment, tags=_tags(call))
    )


@routes.get(f"{_MODELS}/{{name}}", "getRegisteredModel")
def get_model(call: Call) -> Json:
    """Return a model (GET /models/{name}). Needs EXECUTE, BROWSE or MANAGE."""
    return _model(models.find_model(call, call.path["name"]))


@routes.patch(f"{_MODELS}/{{name}}", "updateRegisteredModel")
def update_model(call: Call) -> Json:
    """Change a model (PATCH /models/{name}). Only its owner or the admin may."""
    models.require_model_owner(call, call.path["name"])
    return _model(update(call, call.target(Kind.MODEL, call.path["name"])))


@routes.delete(f"{_MODELS}/{{name}}", "deleteRegisteredModel")
def delete_model(call: Call) -> Json:
    """Delete a model and its versions (DELETE /models/{name}). Only its owner or the admin may."""
    models.delete_model(call, call.path["name"])
    return {}


@routes.get(f"{_UC}/functions/{{name}}", "getFunction")
def get_function(call: Call) -> Json:
    """Answer 404, as functions do not exist here, or 403 without rights on the schema."""
    schema = call.target(Kind.MODEL, call.path["name"]).checked().parent
    assert schema is not None  # noqa: S101 - a checked model has a schema
    call.access.require_view(("USE_SCHEMA",), schema)
    raise NotFound(
        f"Function '{call.path['name']}' does not exist.", code="FUNCTION_DOES_NOT_EXIST"
    )


@routes.get(f"{_MODELS}/{{name}}/versions", "listModelVersions")
def list_versions(call: Call) -> Json:
    """Return a model's versions (GET …/versions). Needs the rights of `get_model`."""
    found = [_version(call, version) for version in models.versions_of(call, call.path["name"])]
    return page(found, call.query, key="model_versions")


@routes.get(_VERSION, "getModelVersion")
def get_version(call: Call) -> Json:
    """Return a version (GET …/versions/{version}). Needs the rights of `get_model`."""
    return _version(call, models.find_version(call, call.path["name"], call.path["version"]))


@routes.patch(_VERSION, "updateModelVersion")
def update_version(call: Call) -> Json:
    """Change its comment (PATCH …/versions/{version}). Only the model's owner or the admin may."""
    comment = call.body.get("comment") or ""
    return _version(
        call, models.describe_version(call, call.path["name"], call.path["version"], comment)
    )


@routes.delete(_VERSION, "deleteModelVersion")
def delete_version(call: Call) -> Json:
    """Delete it (DELETE …/versions/{version}). Only the model's owner or the admin may."""
    models.delete_version(call, call.path["name"], call.path["version"])
    return {}


@routes.patch(f"{_VERSION}/finalize", "finalizeModelVersion")
def finalize_version(call: Call) -> Json:
    """Make a version READY (PATCH …/versions/{version}/finalize).

    Needs CREATE MODEL VERSION; only the version's creator and the model's owner may.
    """
    return _version(call, models.finalize_version(call, call.path["name"], call.path["version"]))


@routes.post(
    f"{_UC}/temporary-model-version-credentials",
    "generateTemporaryModelVersionCredential",
    atomic=False,
)
def version_credentials(call: Call) -> Json:
    """Return keys for a version's files (POST /temporary-model-version-credentials).

    Reading needs EXECUTE, writing needs the rights of `finalize_version`.

    Raises:
        InvalidState: keys to write are requested for a version that is READY.
    """
    name = f"{call.text('catalog_name')}.{call.text('schema_name')}.{call.text('model_name')}"
    operation = call.text("operation")
    if operation not in _WRITE:
        raise InvalidParameter(f"operation: expected one of {', '.join(_WRITE)}, got {operation}.")
    keys = models.version_credentials(
        call, name, call.body.get("version", ""), write=_WRITE[operation]
    )
    return keys | {"storage_mode": "CUSTOMER_HOSTED"}


@routes.put(_ALIAS, "setRegisteredModelAlias")
def set_alias(call: Call) -> Json:
    """Set an alias (PUT …/aliases/{alias}). Only the model's owner or the admin may."""
    number = call.body.get("version_num", "")
    aliases.set_alias(call, call.path["name"], call.path["alias"], number)
    return {"alias_name": call.path["alias"], "version_num": int(number)}


@routes.get(_ALIAS, "getModelVersionByAlias")
def get_by_alias(call: Call) -> Json:
    """Return an alias's version (GET …/aliases/{alias}). Needs the rights of `get_model`."""
    return _version(call, aliases.version_by_alias(call, call.path["name"], call.path["alias"]))


@routes.delete(_ALIAS, "deleteRegisteredModelAlias")
def delete_alias(call: Call) -> Json:
    """Remove an alias (DELETE …/aliases/{alias}). Only the model's owner or the admin may."""
    aliases.delete_alias(call, call.path["name"], call.path["alias"])
    return {}


@routes.patch(f"{_UC}/securable-tags/{{kind}}/{{name}}", "updateTagSecurableAssignments")
def tag_model(call: Call) -> Json:
    """Set and remove tags (PATCH /securable-tags/{kind}/{name}). Needs APPLY TAG."""
    add, remove = _changes(call)
    models.tag_model(call, call.path["name"], add=add, remove=remove)
    return {}


@routes.patch(
    f"{_UC}/subentity-tags/{{kind}}/{{name}}/{{version}}", "updateTagSubentityAssignments"
)
def tag_version(call: Call) -> Json:
    """Set and remove tags (PATCH /subentity-tags/{kind}/{name}/{version}). Needs APPLY TAG."""
    add, remove = _changes(call)
    models.tag_version(call, call.path["name"], call.path["version"], add=add, remove=remove)
    return {}


def _changes(call: Call) -> tuple[models.Tags, list[str]]:
    if Kind.parse(call.path["kind"]) is not Kind.MODEL:
        raise InvalidParameter(f"Tags are served here on models only, not on {call.path['kind']}.")
    changes = call.body.get("changes") or {}
    return {tag["key"]: tag.get("value", "") for tag in changes.get("add_tags") or []}, changes.get(
        "remove"
    ) or []


def _tags(call: Call) -> models.Tags:
    return {tag["key"]: tag.get("value", "") for tag in call.body.get("tags") or []}


def _model(model: Json) -> Json:
    hidden = ("tags", "aliases", "next_version", "properties")
    alias_rows = [
        {"alias_name": alias, "version_num": number} for alias, number in model["aliases"].items()
    ]
    shown = {field: value for field, value in model.items() if field not in hidden}
    return shown | {"aliases": alias_rows, "tags": _pairs(model["tags"])}


def _version(call: Call, version: Json) -> Json:
    catalog, schema, name = version["full_name"].split(".")
    hidden = ("full_name", "tags", "owner", "run_tracking_server_id")
    alias_rows = [
        {"alias_name": alias, "version_num": version["version"]}
        for alias in aliases.aliases_of(call, version)
    ]
    return {field: value for field, value in version.items() if field not in hidden} | {
        "catalog_name": catalog,
        "schema_name": schema,
        "model_name": name,
        "aliases": alias_rows,
        "tags": _pairs(version["tags"]),
    }


def _pairs(tags: models.Tags) -> list[Json]:
    return [{"key": key, "value": value} for key, value in tags.items()]
