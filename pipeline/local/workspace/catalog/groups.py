"""Groups of principals (SCIM of databricks-sdk): who is a member, and of what the caller is one.

The admin makes groups and changes their members. Everybody may read them. Members are principals;
groups in groups are not served, and a privilege cannot be granted to a group here.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from pipeline.local.workspace.api import Call, Json, Routes
from pipeline.local.workspace.catalog.principals import PRINCIPAL, SCIM, require_admin, scim
from pipeline.local.workspace.errors import AlreadyExists, InvalidParameter, NotFound
from pipeline.local.workspace.store import Document, Store

GROUP = "GROUP"
_FILTER = re.compile(r'\s*displayName\s+eq\s+"?([^"]*)"?\s*', re.IGNORECASE)
_MEMBER = re.compile(r'members\[value eq "([^"]*)"\]')

routes = Routes()


def groups_of(store: Store, principal_id: str) -> list[Json]:
    """Return the groups that have a principal as a member, in SCIM's form."""
    return [
        {"display": group["displayName"], "value": group["id"], "type": "direct"}
        for group in store.all(GROUP)
        if principal_id in group["members"]
    ]


@routes.get(f"{SCIM}/Me", "getCurrentUser")
def me(call: Call) -> Json:
    """Return the caller with its groups (GET …/scim/v2/Me). Needs no privilege."""
    principal = call.store.get(PRINCIPAL, call.principal) or {}
    known = {"id": principal["id"], "userName": call.principal} | scim(principal)
    return known | {"groups": groups_of(call.store, principal["id"])}


@routes.post(f"{SCIM}/Groups", "createGroup")
def create(call: Call) -> Json:
    """Create a group (POST …/scim/v2/Groups). Needs admin."""
    require_admin(call)
    call.about = call.text("displayName")
    if any(group["displayName"] == call.about for group in call.store.all(GROUP)):
        raise AlreadyExists(f"Group with name {call.about} already exists.")
    group: Document = {
        "id": str(secrets.randbelow(10**15) + 10**15),
        "displayName": call.about,
        "members": [],
        "externalId": str(call.body.get("externalId") or ""),
    }
    return _saved(call, group, _ids(call, call.body.get("members") or []))


@routes.get(f"{SCIM}/Groups", "listGroups")
def list_groups(call: Call) -> Json:
    """Return the groups (GET …/scim/v2/Groups). Needs no privilege."""
    found = call.store.all(GROUP)
    if wanted := call.query.get("filter"):
        match = _FILTER.fullmatch(wanted)
        if match is None:
            raise InvalidParameter(f"filter {wanted!r}: only displayName eq is served here.")
        found = [group for group in found if group["displayName"] == match[1]]
    start, count = int(call.query.get("startIndex") or 1), int(call.query.get("count") or 10000)
    some = found[start - 1 : start - 1 + count]
    return {
        "totalResults": len(found),
        "startIndex": start,
        "itemsPerPage": len(some),
        "Resources": [_scim(call.store, group) for group in some],
    }


@routes.get(f"{SCIM}/Groups/{{id}}", "getGroup")
def get(call: Call) -> Json:
    """Return one group (GET …/scim/v2/Groups/{id}). Needs no privilege."""
    return _scim(call.store, _by_id(call))


@routes.patch(f"{SCIM}/Groups/{{id}}", "patchGroup")
def patch(call: Call) -> Json:
    """Add and remove members (PATCH …/scim/v2/Groups/{id}). Needs admin."""
    require_admin(call)
    group = _by_id(call)
    members = list(group["members"])
    for operation in call.body.get("Operations") or []:
        members = _changed(call, members, operation)
    return _saved(call, group, members)


@routes.delete(f"{SCIM}/Groups/{{id}}", "deleteGroup")
def delete(call: Call) -> Json:
    """Delete a group (DELETE …/scim/v2/Groups/{id}). Needs admin."""
    require_admin(call)
    call.store.delete(GROUP, _by_id(call)["id"])
    return {}


def _changed(call: Call, members: list[str], operation: Json) -> list[str]:
    kind, path = str(operation.get("op", "")).lower(), str(operation.get("path") or "")
    value: Any = operation.get("value") or []
    if kind == "add" and path in ("", "members"):
        return members + _ids(call, value.get("members", []) if isinstance(value, dict) else value)
    removed = _MEMBER.fullmatch(path)
    if kind == "remove" and removed is not None:
        return [member for member in members if member != removed[1]]
    raise InvalidParameter(
        f"{kind} {path!r}: only adding members and removing a member by value are served here."
    )


def _ids(call: Call, members: list[Json]) -> list[str]:
    known = {document["id"] for document in call.store.all(PRINCIPAL)}
    ids = [str(member["value"]) for member in members]
    unknown = [one for one in ids if one not in known]
    if unknown:
        raise InvalidParameter(f"members: {unknown[0]} is not a principal of this workspace.")
    return ids


def _saved(call: Call, group: Document, members: list[str]) -> Json:
    group = group | {"members": sorted(set(members))}
    call.store.put(GROUP, group["id"], group)
    return _scim(call.store, group)


def _by_id(call: Call) -> Document:
    group = call.store.get(GROUP, call.path["id"])
    if group is None:
        raise NotFound(f"Group {call.path['id']} does not exist.")
    call.about = group["displayName"]
    return group


def _scim(store: Store, group: Document) -> Json:
    names = {document["id"]: document["displayName"] for document in store.all(PRINCIPAL)}
    members = [
        {"value": member, "display": names[member]}
        for member in group["members"]
        if member in names
    ]
    named = {"id": group["id"], "displayName": group["displayName"], "members": members}
    return named | ({"externalId": group["externalId"]} if group.get("externalId") else {})
