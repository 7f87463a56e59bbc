"""Models, versions and tags as mlflow's registry messages, in their JSON form."""

from __future__ import annotations

from pipeline.local.workspace.api import Call, Json, page
from pipeline.local.workspace.models import aliases, models


def model_message(model: Json) -> Json:
    """Return a stored model as mlflow's RegisteredModel."""
    return {
        "name": model["full_name"],
        "creation_timestamp": model["created_at"],
        "last_updated_timestamp": model["updated_at"],
        "user_id": model["owner"],
        "description": model.get("comment", ""),
        "tags": tag_messages(model["tags"]),
        "aliases": [
            {"alias": alias, "version": str(number)} for alias, number in model["aliases"].items()
        ],
    }


def version_message(call: Call, version: Json, *, whole: bool = True) -> Json:
    """Return a stored version as mlflow's ModelVersion; `whole` adds its tags and aliases."""
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
        answer["tags"] = tag_messages(version["tags"])
        answer["aliases"] = [
            {"alias": alias, "version": number} for alias in aliases.aliases_of(call, version)
        ]
    return answer


def page_of(found: list[Json], request: Json, key: str) -> Json:
    """Return one page of a search, by the request's max_results and page_token."""
    return page(
        found,
        {name: str(request[name]) for name in ("max_results", "page_token") if name in request},
        key=key,
    )


def tags_of(request: Json) -> models.Tags:
    """Return the request's tags as a dictionary."""
    return {tag["key"]: tag.get("value", "") for tag in request.get("tags", [])}


def tag_messages(tags: models.Tags) -> list[Json]:
    """Return tags as mlflow's list of keys and values."""
    return [{"key": key, "value": value} for key, value in tags.items()]
