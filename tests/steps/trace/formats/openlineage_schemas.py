"""Validate a run event with OpenLineage's own JSON schemas (tests/standards/openlineage)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

_FOLDER = Path(__file__).resolve().parents[3] / "standards" / "openlineage"


def faults(event: dict[str, Any]) -> list[str]:
    """Return every fault of an event and of its facets; each facet must name a schema we have."""
    found = _validator(event["schemaURL"]).iter_errors(event)
    texts = [f"{fault.json_path}: {fault.message}" for fault in found]
    for name, facet in _facets(event):
        errors = _validator(facet["_schemaURL"]).iter_errors(facet)
        texts += [f"{name} {fault.json_path}: {fault.message}" for fault in errors]
        key = facet["_schemaURL"].partition("#")[0]
        [declared] = _documents()[key]["properties"]
        texts += [] if declared == name else [f"{name}: the schema is that of {declared}"]
    return texts


def _facets(event: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    holders = [event["run"], event["job"], *event["inputs"], *event["outputs"]]
    return [pair for holder in holders for pair in holder.get("facets", {}).items()]


@cache
def _documents() -> dict[str, dict[str, Any]]:
    documents = (json.loads(path.read_text()) for path in _FOLDER.glob("*.json"))
    return {document["$id"]: document for document in documents}


@cache
def _validator(url: str) -> Draft202012Validator:
    resources = {url: Resource.from_contents(each) for url, each in _documents().items()}
    return Draft202012Validator(
        {"$ref": url},
        registry=Registry().with_resources(resources.items()),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
