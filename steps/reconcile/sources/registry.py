"""Unity Catalog as the reconciler's principal sees it: versions, aliases, lineage. Reads only.

Versions come from the registry's own API, because the SDK's form of a version has no tags.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from databricks.sdk.service.catalog import LineageDirection

from steps.governance.errors import NotFound
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.lineage import Edge, Lineage, job
from steps.governance.unity_catalog.refusals import malformed, translated

_REGISTRY = "/api/2.0/mlflow/unity-catalog"
_OURS = "ft_"
READY, PENDING = "READY", "PENDING_REGISTRATION"


@dataclass(frozen=True)
class Version:
    """A model version, its status and its tags."""

    number: int
    status: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A registered model: its versions by number, and the version of each alias."""

    name: str
    versions: Mapping[int, Version] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)


class Registry:
    """Reads of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.principal, self._client = workspace.principal, workspace.client
        self._lineage = Lineage(workspace)

    def model(self, name: str) -> Model | None:
        """Return a model with its versions, or None if it does not exist."""
        doing = f"look up model {name}"
        try:
            answer = self._get("registered-models/get", doing, {"name": name})
        except NotFound:
            return None
        aliases = {
            str(each["alias"]): int(each["version"])
            for each in answer["registered_model"].get("aliases", [])
        }
        versions = {}
        for number in self._numbers(name):
            found = self._version(name, number)
            if found is not None:
                versions[number] = found
        return Model(name, versions, aliases)

    def nodes(self) -> dict[str, str]:
        """Return the execution's id of each external metadata object of this program, by name."""
        with translated(self.principal, "list external metadata"):
            listed = list(self._client.external_metadata.list_external_metadata())
        return {
            each.name: str((each.properties or {}).get("execution_id", ""))
            for each in listed
            if each.name.startswith(_OURS)
        }

    def edges(self, node: str) -> list[Edge]:
        """Return all edges of an external metadata object, duplicates included."""
        return [
            edge
            for direction in (LineageDirection.UPSTREAM, LineageDirection.DOWNSTREAM)
            for edge in self._lineage.edges(job(node), direction)
        ]

    def _numbers(self, name: str) -> list[int]:
        numbers: list[int] = []
        token, seen = "", {""}
        while True:
            query = {"filter": f"name='{name}'", "max_results": "100"}
            doing = f"list the versions of {name}"
            answer = self._get(
                "model-versions/search", doing, query | ({"page_token": token} if token else {})
            )
            numbers += [int(each["version"]) for each in answer.get("model_versions", [])]
            token = str(answer.get("next_page_token", ""))
            if not token:
                return sorted(numbers)
            if token in seen:
                raise malformed(self.principal, doing, "the same page a second time")
            seen.add(token)

    def _version(self, name: str, number: int) -> Version | None:
        """Return one version, or None if it was deleted after it was listed."""
        query = {"name": name, "version": str(number)}
        try:
            answer = self._get("model-versions/get", f"look up version {number} of {name}", query)[
                "model_version"
            ]
        except NotFound:
            return None
        tags = {str(tag["key"]): str(tag.get("value", "")) for tag in answer.get("tags", [])}
        return Version(number, str(answer.get("status", "")), tags)

    def _get(self, path: str, doing: str, query: Mapping[str, str]) -> dict[str, Any]:
        with translated(self.principal, doing):
            answer = self._client.api_client.do("GET", f"{_REGISTRY}/{path}", query=dict(query))
        if not isinstance(answer, dict):
            raise malformed(self.principal, doing, "no JSON object")
        return cast(dict[str, Any], answer)
