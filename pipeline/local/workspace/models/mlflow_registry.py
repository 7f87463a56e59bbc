"""The model registry for mlflow's `databricks-uc` store: protobuf messages as JSON under
/api/2.0/mlflow.

Routes and messages come from mlflow's own UcModelRegistryService. An RPC that a newer mlflow adds
is therefore answered with "not implemented here" and its name, and an answer cannot have a field
that mlflow does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pipeline.local.workspace.api import Call, Handler, Json, Routes, page
from pipeline.local.workspace.errors import InvalidParameter, NotServed
from pipeline.local.workspace.models import models
from pipeline.local.workspace.models.protos import ParseError, message, methods, parse_json, to_json

_MESSAGES = "databricks_uc_registry_messages_pb2"
_NAME_FILTER = re.compile(r"""\s*name\s*=\s*(['"])(?P<name>[^'"]+)\1\s*""", re.IGNORECASE)
_WRITE = "MODEL_VERSION_OPERATION_READ_WRITE"

Ask = Json  # one request message as a dictionary
Rpc = Callable[[Call, Ask], Json]


def _create_model(call: Call, ask: Ask) -> Json:
    model = models.create_model(
        call, ask["name"], comment=ask.get("description", ""), tags=_tags(ask)
    )
    return {"registered_model": _model(model)}


def _get_model(call: Call, ask: Ask) -> Json:
    return {"registered_model": _model(models.find_model(call, ask["name"]))}


def _update_model(call: Call, ask: Ask) -> Json:
    if ask.get("new_name"):
        raise NotServed("not implemented here: renaming a registered model")
    return {
        "registered_model": _model(
            models.describe_model(call, ask["name"], ask.get("description", ""))
        )
    }


def _delete_model(call: Call, ask: Ask) -> Json:
    models.delete_model(call, ask["name"])
    return {}


def _search_models(call: Call, ask: Ask) -> Json:
    """Search models; the result has no tags and aliases, as in Unity Catalog."""
    found = [_model(model | {"tags": {}, "aliases": {}}) for model in models.visible_models(call)]
    return _page(found, ask, "registered_models")


def _create_version(call: Call, ask: Ask) -> Json:
    kept = ("source", "run_id", "run_tracking_server_id", "model_id", "model_version_dependencies")
    fields = {field: ask[field] for field in kept if field in ask}
    comment = ask.get("description", "")
    version = models.create_version(call, ask["name"], fields, comment=comment, tags=_tags(ask))
    return {"model_version": _version(call, version)}


def _get_version(call: Call, ask: Ask) -> Json:
    return {"model_version": _version(call, models.find_version(call, ask["name"], ask["version"]))}


def _update_version(call: Call, ask: Ask) -> Json:
    version = models.describe_version(call, ask["name"], ask["version"], ask.get("description", ""))
    return {"model_version": _version(call, version)}


def _delete_version(call: Call, ask: Ask) -> Json:
    models.delete_version(call, ask["name"], ask["version"])
    return {}


def _search_versions(call: Call, ask: Ask) -> Json:
    """Search by name only; the result has no tags and aliases, as in Unity Catalog."""
    match = _NAME_FILTER.fullmatch(ask.get("filter", ""))
    if match is None:
        raise InvalidParameter(
            f"filter: expected name = '<catalog>.<schema>.<model>', got {ask.get('filter')!r}."
        )
    found = [
        _version(call, version, whole=False) for version in models.versions_of(call, match["name"])
    ]
    return _page(found, ask, "model_versions")


def _finalize_version(call: Call, ask: Ask) -> Json:
    return {
        "model_version": _version(call, models.finalize_version(call, ask["name"], ask["version"]))
    }


def _download_uri(call: Call, ask: Ask) -> Json:
    return {
        "artifact_uri": models.find_version(call, ask["name"], ask["version"])["storage_location"]
    }


def _credentials(call: Call, ask: Ask) -> Json:
    write = ask.get("operation") == _WRITE
    keys = models.version_credentials(call, ask["name"], ask["version"], write=write)
    kept = {field: keys[field] for field in ("aws_temp_credentials", "expiration_time")}
    return {"credentials": kept | {"storage_mode": "CUSTOMER_HOSTED"}}


def _set_alias(call: Call, ask: Ask) -> Json:
    models.set_alias(call, ask["name"], ask["alias"], ask["version"])
    return {}


def _delete_alias(call: Call, ask: Ask) -> Json:
    models.delete_alias(call, ask["name"], ask["alias"])
    return {}


def _get_by_alias(call: Call, ask: Ask) -> Json:
    return {
        "model_version": _version(call, models.version_by_alias(call, ask["name"], ask["alias"]))
    }


def _tag_model(call: Call, ask: Ask) -> Json:
    models.tag_model(call, ask["name"], add={ask["key"]: ask.get("value", "")}, remove=[])
    return {}


def _untag_model(call: Call, ask: Ask) -> Json:
    models.tag_model(call, ask["name"], add={}, remove=[ask["key"]])
    return {}


def _tag_version(call: Call, ask: Ask) -> Json:
    models.tag_version(
        call, ask["name"], ask["version"], add={ask["key"]: ask.get("value", "")}, remove=[]
    )
    return {}


def _untag_version(call: Call, ask: Ask) -> Json:
    models.tag_version(call, ask["name"], ask["version"], add={}, remove=[ask["key"]])
    return {}


def _emit_lineage(call: Call, ask: Ask) -> Json:
    """Store the lineage with the version; nothing here reads it."""
    models.note_use(call, ask["name"], ask["version"], ask)
    return {}


def _artifacts_through_files_api(call: Call, ask: Ask) -> Json:
    """Answer no: versions are written with vended keys, as this workspace is meant to test."""
    return {"is_databricks_sdk_models_artifact_repository_enabled": False}


_RPCS: dict[str, Rpc] = {
    "CreateRegisteredModel": _create_model,
    "GetRegisteredModel": _get_model,
    "UpdateRegisteredModel": _update_model,
    "DeleteRegisteredModel": _delete_model,
    "SearchRegisteredModels": _search_models,
    "CreateModelVersion": _create_version,
    "GetModelVersion": _get_version,
    "UpdateModelVersion": _update_version,
    "DeleteModelVersion": _delete_version,
    "SearchModelVersions": _search_versions,
    "FinalizeModelVersion": _finalize_version,
    "GetModelVersionDownloadUri": _download_uri,
    "GenerateTemporaryModelVersionCredentials": _credentials,
    "SetRegisteredModelAlias": _set_alias,
    "DeleteRegisteredModelAlias": _delete_alias,
    "GetModelVersionByAlias": _get_by_alias,
    "SetRegisteredModelTag": _tag_model,
    "DeleteRegisteredModelTag": _untag_model,
    "SetModelVersionTag": _tag_version,
    "DeleteModelVersionTag": _untag_version,
    "EmitModelVersionLineage": _emit_lineage,
    "IsDatabricksSdkModelsArtifactRepositoryEnabled": _artifacts_through_files_api,
}


def registry_routes() -> Routes:
    """Return the routes of every RPC of mlflow's service; unknown ones are "not implemented here"."""
    routes = Routes()
    for method, path, rpc in methods(
        "databricks_uc_registry_service_pb2", "UcModelRegistryService"
    ):
        if rpc.name in _RPCS:
            atomic = rpc.name != "GenerateTemporaryModelVersionCredentials"
            action = rpc.name[0].lower() + rpc.name[1:]
            routes.add(method, path, action, atomic=atomic)(_handler(rpc))
    return routes


def _handler(rpc: Any) -> Handler:
    ask_class = message(_MESSAGES, rpc.input_type.name)
    answer_class = message(_MESSAGES, rpc.output_type.name)

    def handle(call: Call) -> Json:
        try:
            ask = to_json(parse_json({**call.query, **call.body}, ask_class, ignore_unknown=True))
        except ParseError as error:
            raise InvalidParameter(f"{rpc.name}: {error}") from None
        try:
            answer = _RPCS[rpc.name](call, ask)
        except KeyError as missing:
            raise InvalidParameter(f"{rpc.name}: missing required field {missing}.") from None
        return to_json(parse_json(answer, answer_class))

    return handle


def _model(model: Json) -> Json:
    return {
        "name": model["full_name"],
        "creation_timestamp": model["created_at"],
        "last_updated_timestamp": model["updated_at"],
        "user_id": model["owner"],
        "description": model.get("comment", ""),
        "tags": _pairs(model["tags"]),
        "aliases": [
            {"alias": alias, "version": str(number)} for alias, number in model["aliases"].items()
        ],
    }


def _version(call: Call, version: Json, *, whole: bool = True) -> Json:
    kept = ("source", "run_id", "run_tracking_server_id", "model_id", "status", "storage_location")
    number = str(version["version"])
    answer = {field: version[field] for field in kept if field in version} | {
        "name": version["full_name"],
        "version": number,
        "creation_timestamp": version["created_at"],
        "last_updated_timestamp": version["updated_at"],
        "user_id": version["created_by"],
        "description": version["comment"],
    }
    if whole:
        answer["tags"] = _pairs(version["tags"])
        answer["aliases"] = [
            {"alias": alias, "version": number} for alias in models.aliases_of(call, version)
        ]
    return answer


def _page(found: list[Json], ask: Ask, key: str) -> Json:
    return page(
        found,
        {name: str(ask[name]) for name in ("max_results", "page_token") if name in ask},
        key=key,
    )


def _tags(ask: Ask) -> models.Tags:
    return {tag["key"]: tag.get("value", "") for tag in ask.get("tags", [])}


def _pairs(tags: models.Tags) -> list[Json]:
    return [{"key": key, "value": value} for key, value in tags.items()]
