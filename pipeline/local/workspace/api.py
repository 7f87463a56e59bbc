"""The endpoints of a module: each is a function from one authenticated call to a JSON answer.

    routes = Routes()

    @routes.get("/api/2.1/unity-catalog/tables/{name}", "getTable")
    def get_table(call: Call) -> Json: ...

The action is the name in the audit log. A handler runs inside one store transaction, so it has all
of its effects or none; `atomic=False` is for handlers that only read the store and then call AWS.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipeline.local.workspace.errors import InvalidParameter
from pipeline.local.workspace.rights.access import Access
from pipeline.local.workspace.rights.securables import Kind, Securable

if TYPE_CHECKING:
    from pipeline.local.workspace.control_plane import ControlPlane
    from pipeline.local.workspace.settings import Settings
    from pipeline.local.workspace.store import Store

Json = dict[str, Any]
# Source: docstrings of databricks-sdk 0.156, lineage; for the other lists our choice
LARGEST_PAGE = 1000


@dataclass(frozen=True)
class Workspace:
    """The settings, store and control plane that every handler uses."""

    settings: Settings
    store: Store
    aws: ControlPlane

    @property
    def metastore(self) -> Json:
        """The workspace's only metastore, as it is stored."""
        return self.store.all(Kind.METASTORE.name)[0]


@dataclass
class Call:
    """One authenticated request."""

    workspace: Workspace
    principal: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    about: str = ""  # the call's securable, for the audit log
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def store(self) -> Store:
        """The workspace's store."""
        return self.workspace.store

    @cached_property
    def access(self) -> Access:
        """The rights of the caller."""
        return Access(self.store, self.principal)

    def target(self, kind: Kind, name: str) -> Securable:
        """Return the securable of this call, and record it for the audit log."""
        securable = Securable(kind, name)
        self.about = str(securable)
        return securable

    def text(self, name: str) -> str:
        """Return a string that the body must have."""
        value = self.body.get(name)
        if not isinstance(value, str) or not value:
            raise InvalidParameter(
                f"Missing required field: {name} (expected a non-empty string, got {value!r})."
            )
        return value

    def stamp(self) -> Json:
        """Return the fields that Unity Catalog sets on a new object."""
        now = milliseconds()
        return {
            "id": str(uuid.uuid4()),
            "owner": self.principal,
            "metastore_id": self.workspace.metastore["metastore_id"],
            "created_at": now,
            "created_by": self.principal,
            "updated_at": now,
            "updated_by": self.principal,
        }

    def touch(self) -> Json:
        """Return the fields that Unity Catalog sets on a changed object."""
        return {"updated_at": milliseconds(), "updated_by": self.principal}


Handler = Callable[[Call], Json]


@dataclass(frozen=True)
class Endpoint:
    """One method and path, its name in the audit log, and its handler."""

    method: str
    path: str
    action: str
    handler: Handler
    atomic: bool = True


class Routes(list[Endpoint]):
    """A module's endpoints, in the order in which they are matched."""

    def get(self, path: str, action: str) -> Callable[[Handler], Handler]:
        """Register the decorated function for GET."""
        return self.add("GET", path, action)

    def post(self, path: str, action: str, *, atomic: bool = True) -> Callable[[Handler], Handler]:
        """Register the decorated function for POST, by default in one transaction."""
        return self.add("POST", path, action, atomic=atomic)

    def patch(self, path: str, action: str) -> Callable[[Handler], Handler]:
        """Register the decorated function for PATCH."""
        return self.add("PATCH", path, action)

    def put(self, path: str, action: str) -> Callable[[Handler], Handler]:
        """Register the decorated function for PUT."""
        return self.add("PUT", path, action)

    def delete(self, path: str, action: str) -> Callable[[Handler], Handler]:
        """Register the decorated function for DELETE."""
        return self.add("DELETE", path, action)

    def add(
        self, method: str, path: str, action: str, *, atomic: bool = True
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function for any method; it is returned unchanged."""

        def register(handler: Handler) -> Handler:
            self.append(Endpoint(method, path, action, handler, atomic))
            return handler

        return register


def milliseconds() -> int:
    """Return the time in Unity Catalog's form: epoch milliseconds."""
    return int(time.time() * 1000)


def timestamp() -> str:
    """Return the time in the lineage APIs' form: RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def flag(query: Mapping[str, str], name: str) -> bool:
    """Return a boolean of a query string; the SDK writes `true`."""
    return query.get(name, "").lower() == "true"


def page(
    items: list[Json], query: Mapping[str, str], *, key: str, size: str = "max_results"
) -> Json:
    """Return one page of a list. As in Databricks, a size that is 0 or missing lets the server
    choose, and tokens are opaque.
    """
    try:
        start, asked = int(query.get("page_token") or 0), int(query.get(size) or 0)
    except ValueError:
        raise InvalidParameter(
            f"{size} must be an integer and page_token one that was returned."
        ) from None
    if start < 0 or asked < 0:
        raise InvalidParameter(f"{size} must not be negative, got {asked}.")
    stop = start + min(asked or LARGEST_PAGE, LARGEST_PAGE)
    answer: Json = {key: items[start:stop]}
    return answer | ({"next_page_token": str(stop)} if stop < len(items) else {})


def lineage_page(items: list[Json], query: Mapping[str, str], *, key: str) -> Json:
    """Return one page as the lineage APIs do, where too large a size is an error."""
    asked = query.get("page_size", "0")
    if asked.isdecimal() and int(asked) > LARGEST_PAGE:
        raise InvalidParameter(f"page_size must be at most {LARGEST_PAGE}, got {asked}.")
    return page(items, query, key=key, size="page_size")
