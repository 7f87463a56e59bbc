"""The rights of another principal, read from Unity Catalog with this job's own rights.

    need = Need("SCHEMA", "edgar.models", ("USE_SCHEMA", "CREATE_MODEL"))
    Rights(workspace, "0a1b…").lacking(need)     # ["CREATE_MODEL"]

Only a principal that manages a securable sees all grants on it; all others see their own grants
[docs.databricks.com, SHOW GRANTS; what the REST API answers then, a 403 or a shorter list, is
unverified]. So a list that may be incomplete proves only what it contains. Rights that come through
a group cannot be seen either, because the API does not list a group's members here.

This module calls the REST API directly: the SDK's enumeration of privileges lacks
CREATE_MODEL_VERSION and CREATE_EXTERNAL_METADATA, and drops unknown values. All calls are reads.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from steps.governance.errors import GovernanceError, IdentityRefused, NotFound, Unavailable
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.refusals import translated

_EVERYBODY = "account users"
# Contains each privilege that Prepare checks [docs.databricks.com, Unity Catalog privileges
# reference].
_ALL = "ALL_PRIVILEGES"
_PAGE = 0  # the server's own page length, as the API's documentation recommends
_PLACES = {"CATALOG": "catalogs", "SCHEMA": "schemas", "TABLE": "tables", "FUNCTION": "models"}
# A service principal's application id or a user's address; any other name is a group's.
_INDIVIDUAL = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[^@\s]+@[^@\s]+", re.IGNORECASE
)

Grants = Mapping[str, set[str]]


class NotAnswered(GovernanceError):
    """The workspace does not show this to the job."""


@dataclass(frozen=True)
class Need:
    """Privileges on one securable, with the API's names. The kind of a model is FUNCTION."""

    kind: str
    name: str
    privileges: tuple[str, ...]

    @property
    def on(self) -> str:
        """The securable as a GRANT statement names it."""
        return "METASTORE" if self.kind == "METASTORE" else f"{self.kind} {self.name}"


def is_individual(principal: str) -> bool:
    """Return whether a name is one service principal's or one user's, not a group's."""
    return _INDIVIDUAL.fullmatch(principal) is not None


class Rights:
    """The rights of `principal`, as far as this job may see them."""

    def __init__(self, workspace: Workspace, principal: str) -> None:
        self._client, self._asker, self.principal = workspace.client, workspace.principal, principal
        self._known_owners: dict[str, str] = {}

    def lacking(self, need: Need) -> list[str]:
        """Return the privileges that the principal does not hold.

        Raises:
            NotAnswered: the workspace does not show it to this job.
            NotFound: the securable does not exist.
        """
        try:
            grants = self._grants(need)
            missing = _without(need.privileges, _held(grants, (self.principal, _EVERYBODY)))
            return missing and self._proven(need, grants, missing)
        except (NotFound, NotAnswered, Unavailable, IdentityRefused):
            raise
        except GovernanceError as error:
            raise NotAnswered(one_line(error)) from error

    def _proven(self, need: Need, grants: Grants, missing: list[str]) -> list[str]:
        """Return the missing privileges, if no grant that this job cannot see may give them."""
        owners = self._owners(need)
        if not self._everything_is_listed(grants, owners):
            raise NotAnswered("only who manages it sees the grants of others")
        groups = [name for name in grants if name != _EVERYBODY and not is_individual(name)]
        if self.principal in owners:
            return []
        groups += [owner for owner in owners if not is_individual(owner)]
        held = _held(grants, groups) | ({_ALL} if set(groups) & set(owners) else set())
        if len(_without(missing, held)) < len(missing):
            raise NotAnswered(
                f"the principal may hold it as a member of {', '.join(sorted(set(groups)))}"
            )
        return missing

    def _everything_is_listed(self, grants: Grants, owners: list[str]) -> bool:
        others = any(is_individual(name) and name != self._asker for name in grants)
        return others or self._asker in owners or "MANAGE" in grants.get(self._asker, set())

    def _grants(self, need: Need) -> Grants:
        """Return principal → privileges on the securable, including inherited ones."""
        name = self._metastore()["metastore_id"] if need.kind == "METASTORE" else need.name
        path = f"/api/2.1/unity-catalog/effective-permissions/{need.kind}/{name}"
        found: dict[str, set[str]] = {}
        token = ""
        while True:
            query = {"max_results": _PAGE} | ({"page_token": token} if token else {})
            answer = self._get(path, f"look up the grants on {need.on}", query)
            for assignment in answer.get("privilege_assignments", []):
                privileges = {entry["privilege"] for entry in assignment.get("privileges", [])}
                found.setdefault(assignment["principal"], set()).update(privileges)
            if not (token := answer.get("next_page_token", "")):
                return found

    def _owners(self, need: Need) -> list[str]:
        """Return the owners of the securable and of its containers."""
        if need.kind == "METASTORE":
            return [str(self._metastore().get("owner", ""))]
        parts = need.name.split(".")
        containers = [("catalogs", parts[0]), ("schemas", ".".join(parts[:2]))][: len(parts) - 1]
        return [self._owner(*place) for place in (*containers, (_PLACES[need.kind], need.name))]

    def _owner(self, kind: str, name: str) -> str:
        if name not in self._known_owners:
            found = self._get(f"/api/2.1/unity-catalog/{kind}/{name}", f"look up {name}")
            self._known_owners[name] = str(found.get("owner", ""))
        return self._known_owners[name]

    def _metastore(self) -> dict[str, Any]:
        return self._get("/api/2.1/unity-catalog/metastore_summary", "look up the metastore")

    def _get(self, path: str, doing: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        with translated(self._asker, doing):
            answer = self._client.api_client.do("GET", path, query=query or {})
        if not isinstance(answer, dict):
            raise NotAnswered(
                f"the workspace answered {doing} with something that is not a JSON object"
            )
        return answer


def one_line(error: GovernanceError) -> str:
    """Return the workspace's message on one line."""
    text = str(error.__cause__ or error.what).partition(" Config: ")[0]
    return " ".join(text.split())[:200]


def _held(grants: Grants, names: Iterable[str]) -> set[str]:
    return set().union(*(grants.get(name, set()) for name in names))


def _without(privileges: Iterable[str], held: set[str]) -> list[str]:
    return [] if _ALL in held else [privilege for privilege in privileges if privilege not in held]
