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

from pipeline.local.workspace.api import Call, Handler, Json, Routes
from pipeline.local.workspace.errors import InvalidParameter, NotServed
from pipeline.local.workspace.models import aliases, models
from pipeline.local.workspace.models.mlflow_messages import (
    model_message,
    page_of,
    tags_of,
    version_message,
)
from pipeline.local.workspace.models.protos import ParseError, message, methods, parse_json, to_json

_MESSAGES = "databricks_uc_registry_messages_pb2"
_NAME_FILTER = re.compile(r"""\s*name\s*=\s*(['"])(?P<name>[^'"]+)\1\s*""", re.IGNORECASE)
_WRITE = "MODEL_VERSION_OPERATION_READ_WRITE"

Message = Json  # one request message as a dictionary
Rpc = Callable[[Call, Message], Json]


def _create_model(call: Call, request: Message) -> Json:
    model = models.create_model(
        call, request["name"], comment=request.get("description", ""), tags=tags_of(request)
    )
    return {"registered_model": model_message(model)}


def _get_model(call: Call, request: Message) -> Json:
    return {"registered_model": model_message(models.find_model(call, request["name"]))}


def _update_model(call: Call, request: Message) -> Json:
    if request.get("new_name"):
        raise NotServed("not implemented here: renaming a registered model")
    return {
        "registered_model": model_message(
            models.describe_model(call, request["name"], request.get("description", ""))
        )
    }


def _delete_model(call: Call, request: Message) -> Json:
    models.delete_model(call, request["name"])
    return {}


def _search_models(call: Call, request: Message) -> Json:
    """Search models; the result has no tags and aliases, as in Unity Catalog."""
    found = [
        model_message(model | {"tags": {}, "aliases": {}}) for model in models.visible_models(call)
    ]
    return page_of(found, request, "registered_models")


def _create_version(call: Call, request: Message) -> Json:
    kept = ("source", "run_id", "run_tracking_server_id", "model_id", "model_version_dependencies")
    fields = {field: request[field] for field in kept if field in request}
    comment = request.get("description", "")
    version = models.create_version(
        call, request["name"], fields, comment=comment, tags=tags_of(request)
    )
    return {"model_version": version_message(call, version)}


def _get_version(call: Call, request: Message) -> Json:
    return {
        "model_version": version_message(
            call, models.find_version(call, request["name"], request["version"])
        )
    }


def _update_version(call: Call, request: Message) -> Json:
    version = models.describe_version(
        call, request["name"], request["version"], request.get("description", "")
    )
    return {"model_version": version_message(call, version)}


def _delete_version(call: Call, request: Message) -> Json:
    models.delete_version(call, request["name"], request["version"])
    return {}


def _search_versions(call: Call, request: Message) -> Json:
    """Search by name only; the result has no tags and aliases, as in Unity Catalog."""
    match = _NAME_FILTER.fullmatch(request.get("filter", ""))
    if match is None:
        raise InvalidParameter(
            f"filter: expected name = '<catalog>.<schema>.<model>', got {request.get('filter')!r}."
        )
    found = [
        version_message(call, version, whole=False)
        for version in models.versions_of(call, match["name"])
    ]
    return page_of(found, request, "model_versions")


def _finalize_version(call: Call, request: Message) -> Json:
    return {
        "model_version": version_message(
            call, models.finalize_version(call, request["name"], request["version"])
        )
    }


def _download_uri(call: Call, request: Message) -> Json:
    return {
        "artifact_uri": models.find_version(call, request["name"], request["version"])[
            "storage_location"
        ]
    }


def _credentials(call: Call, request: Message) -> Json:
    write = request.get("operation") == _WRITE
    keys = models.version_credentials(call, request["name"], request["version"], write=write)
    kept = {field: keys[field] for field in ("aws_temp_credentials", "expiration_time")}
    return {"credentials": kept | {"storage_mode": "CUSTOMER_HOSTED"}}


def _set_alias(call: Call, request: Message) -> Json:
    aliases.set_alias(call, request["name"], request["alias"], request["version"])
    return {}


def _delete_alias(call: Call, request: Message) -> Json:
    aliases.delete_alias(call, request["name"], request["alias"])
    return {}


def _get_by_alias(call: Call, request: Message) -> Json:
    return {
        "model_version": version_message(
            call, aliases.version_by_alias(call, request["name"], request["alias"])
        )
    }


def _tag_model(call: Call, request: Message) -> Json:
    models.tag_model(
        call, request["name"], add={request["key"]: request.get("value", "")}, remove=[]
    )
    return {}


def _untag_model(call: Call, request: Message) -> Json:
    models.tag_model(call, request["name"], add={}, remove=[request["key"]])
    return {}


def _tag_version(call: Call, request: Message) -> Json:
    models.tag_version(
        call,
        request["name"],
        request["version"],
        add={request["key"]: request.get("value", "")},
        remove=[],
    )
    return {}


def _untag_version(call: Call, request: Message) -> Json:
    models.tag_version(call, request["name"], request["version"], add={}, remove=[request["key"]])
    return {}


def _emit_lineage(call: Call, request: Message) -> Json:
    """Store the lineage with the version; nothing here reads it."""
    models.note_use(call, request["name"], request["version"], request)
    return {}


def _artifacts_through_files_api(call: Call, request: Message) -> Json:
    """Answer yes with `--models-by-files-api`; otherwise, mlflow asks for vended keys."""
    by_files_api = call.workspace.settings.models_by_files_api
    return {"is_databricks_sdk_models_artifact_repository_enabled": by_files_api}


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
    """Return the routes of mlflow's service; unknown RPCs are "not implemented here"."""
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
    request_class = message(_MESSAGES, rpc.input_type.name)
    answer_class = message(_MESSAGES, rpc.output_type.name)

    def handle(call: Call) -> Json:
        try:
            request = to_json(
                parse_json({**call.query, **call.body}, request_class, ignore_unknown=True)
            )
        except ParseError as error:
            raise InvalidParameter(f"{rpc.name}: {error}") from None
        try:
            answer = _RPCS[rpc.name](call, request)
        except KeyError as missing:
            raise InvalidParameter(f"{rpc.name}: missing required field {missing}.") from None
        return to_json(parse_json(answer, answer_class))

    return handle
