"""External lineage: edges between catalog objects and external metadata.

Undocumented for the hosted service [unverified], and chosen here as the worst case for a client:
  * a second edge between the same two ends is stored too (`--lineage-duplicates refuse`: 409
    instead);
  * update and delete without an id concern every edge between the two ends.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from pipeline.local.workspace.api import Call, Json, Routes, lineage_page, timestamp
from pipeline.local.workspace.catalog.locations import normalize
from pipeline.local.workspace.catalog.storage import location_of
from pipeline.local.workspace.catalog.tables import VIEW
from pipeline.local.workspace.errors import AlreadyExists, InvalidParameter, NotFound
from pipeline.local.workspace.lineage import limits
from pipeline.local.workspace.lineage.metadata import EDGE, masked, require_modify
from pipeline.local.workspace.models.models import find_version, require_model_owner
from pipeline.local.workspace.rights.securables import Kind, Securable

_PATH = "/api/2.0/lineage-tracking/external-lineage"
_OTHER_SIDE = {"DOWNSTREAM": ("source", "target"), "UPSTREAM": ("target", "source")}
_EDGE_FIELDS = ("columns", "properties")
_METADATA_FIELDS = ("name", "system_type", "entity_type")

routes = Routes()


@routes.post(_PATH, "createExternalLineageRelationship")
def create(call: Call) -> Json:
    """Needs MODIFY on external metadata, SELECT on a source table, MODIFY on a target table."""
    source, target = _ends(call, call.body)
    _require_rights(call, source, target)
    if call.workspace.settings.lineage_duplicates == "refuse" and _matching(call, source, target):
        raise AlreadyExists(f"A relationship between {call.about} already exists.")
    fields = _fields(call, _EDGE_FIELDS)
    edge = {"id": str(uuid.uuid4()), "source": source, "target": target, **fields}
    call.store.put(EDGE, edge["id"], edge | {"event_time": timestamp()})
    return edge


@routes.get(_PATH, "listExternalLineageRelationships")
def list_edges(call: Call) -> Json:
    """Return the edges of one object in one direction, for those who may see that object."""
    direction = call.query.get("lineage_direction", "")
    if direction not in _OTHER_SIDE:
        raise InvalidParameter(
            f"lineage_direction: expected DOWNSTREAM or UPSTREAM, got {direction or 'none'}."
        )
    this_side, other_side = _OTHER_SIDE[direction]
    wanted = _end(_nested(call, "object_info"))
    call.about = _spoken(wanted)
    _require_view(call, wanted)
    found = [
        _edge_info(call, edge, other_side)
        for edge in call.store.all(EDGE)
        if edge[this_side] == wanted
    ]
    return lineage_page(found, call.query, key="external_lineage_relationships")


@routes.patch(_PATH, "updateExternalLineageRelationship")
def update(call: Call) -> Json:
    """Change the fields that update_mask names (PATCH …/external-lineage).

    Without an id every edge between the two ends is changed. Needs the rights of `create`.

    Raises:
        NotFound: no edge connects the two ends, or none has this id.
    """
    source, target = _ends(call, call.body)
    _require_rights(call, source, target)
    names = masked(call, _EDGE_FIELDS)
    fields = dict.fromkeys(names) | _fields(call, names)
    edges = _matching(call, source, target, call.body.get("id"))
    for edge in edges:
        edge |= fields
        call.store.put(EDGE, edge["id"], edge)
    if not edges:
        raise NotFound(f"The relationship between {call.about} does not exist.")
    return {field: value for field, value in edges[0].items() if field != "event_time"}


@routes.delete(_PATH, "deleteExternalLineageRelationship")
def delete(call: Call) -> Json:
    """Delete an edge (DELETE …/external-lineage).

    Without an id every edge between the two ends is deleted. Needs the rights of `create`.

    Raises:
        NotFound: no edge connects the two ends, or none has this id.
    """
    asked = _nested(call, "external_lineage_relationship")
    source, target = _ends(call, asked)
    _require_rights(call, source, target)
    edges = _matching(call, source, target, asked.get("id"))
    for edge in edges:
        call.store.delete(EDGE, edge["id"])
    if not edges:
        raise NotFound(f"The relationship between {call.about} does not exist.")
    return {}


# Ends


def _ends(call: Call, body: Json) -> tuple[Json, Json]:
    """Return source and target in canonical form; at least one is external metadata."""
    source, target = _end(body.get("source")), _end(body.get("target"))
    call.about = f"{_spoken(source)} and {_spoken(target)}"
    if "external_metadata" not in source and "external_metadata" not in target:
        raise InvalidParameter(
            "At least one of source and target must be an external metadata object."
        )
    return source, target


def _end(given: Any) -> Json:
    """Return a lineage object: exactly one of table, model_version, path, external_metadata."""
    if not isinstance(given, dict) or len(given) != 1:
        raise InvalidParameter(
            "Expected exactly one of table, model_version, path, external_metadata."
        )
    ((kind, reference),) = given.items()
    match kind, reference:
        case "table" | "external_metadata", {"name": str(name)}:
            return {kind: {"name": name.lower()}}
        case "model_version", {"name": str(name), "version": str(version)} if version.isdecimal():
            return {kind: {"name": name.lower(), "version": str(int(version))}}
        case "path", {"url": str(url)}:
            return {kind: {"url": normalize(url)}}
    raise InvalidParameter(
        f"{kind}: not an object of lineage, or its fields are missing or of another type."
    )


def _spoken(end: Json) -> str:
    ((kind, reference),) = end.items()
    return f"{kind} '{'/'.join(reference.values())}'"


def _securable(end: Json) -> Securable:
    ((kind, reference),) = end.items()
    return Securable(Kind.TABLE if kind == "table" else Kind.EXTERNAL_METADATA, reference["name"])


# Rights


def _require_rights(call: Call, source: Json, target: Json) -> None:
    for end, is_target in ((source, False), (target, True)):
        match end:
            case {"external_metadata": _}:
                require_modify(call, _securable(end))
            case {"table": _}:
                call.access.require("MODIFY" if is_target else "SELECT", _securable(end))
            case {"path": {"url": url}}:
                call.access.require(
                    "WRITE_FILES" if is_target else "READ_FILES", location_of(call, url)
                )
            case {"model_version": version}:
                find_version(call, version["name"], version["version"])
                if is_target:
                    # The privilege for writes to a model is not documented; its owner has it
                    # [unverified].
                    require_model_owner(call, version["name"])


def _require_view(call: Call, end: Json) -> None:
    match end:
        case {"external_metadata": _}:
            call.access.require_view(("BROWSE",), _securable(end))
        case {"table": _}:
            call.access.require_view(VIEW, _securable(end))
        case {"path": {"url": url}}:
            call.access.require("READ_FILES", location_of(call, url))
        case {"model_version": version}:
            find_version(call, version["name"], version["version"])


# Edges


def _fields(call: Call, names: Iterable[str]) -> Json:
    """Return the fields of the request among these names, within their limits."""
    given = {name: call.body[name] for name in names if call.body.get(name) is not None}
    limits.check_properties(given.get("properties", {}))
    limits.check_relations(given.get("columns", []))
    return given


def _matching(call: Call, source: Json, target: Json, edge_id: str | None = None) -> list[Json]:
    return [
        edge
        for edge in call.store.all(EDGE)
        if (edge["source"], edge["target"]) == (source, target) and edge_id in (None, edge["id"])
    ]


def _edge_info(call: Call, edge: Json, other_side: str) -> Json:
    """Return an edge as lists do: the other end in full, a model's version as an integer."""
    info = {
        "external_lineage_info": {
            field: value for field, value in edge.items() if field != "event_time"
        }
    }
    when = {"event_time": edge["event_time"]}
    match edge[other_side]:
        case {"external_metadata": metadata}:
            known = call.access.get(_securable({"external_metadata": metadata}))
            info["external_metadata_info"] = {
                field: known[field] for field in _METADATA_FIELDS
            } | when
        case {"table": {"name": name}}:
            names = zip(("catalog_name", "schema_name", "name"), name.split("."), strict=True)
            info["table_info"] = dict(names) | when
        case {"model_version": version}:
            info["model_info"] = {
                "model_name": version["name"],
                "version": int(version["version"]),
            } | when
        case {"path": {"url": url}}:
            info["file_info"] = {"path": url} | when
    return info


def _nested(call: Call, prefix: str) -> Json:
    """Return nested query parameters: `a.b.c=1` gives {"b": {"c": "1"}} for the prefix a."""
    found: Json = {}
    for name, value in call.query.items():
        if name.startswith(f"{prefix}."):
            *parents, last = name.removeprefix(f"{prefix}.").split(".")
            inner = found
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
    return found
